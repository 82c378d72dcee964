package nemesis

import (
	"fmt"
	"slices"
)

// Abilities of a system under test, beyond what every system can.
const (
	AbilityMembership = "membership" // its members can be changed while it runs
	AbilityTransfer   = "transfer"   // its leader can be asked to hand over
	AbilitySnapshot   = "snapshot"   // its nodes can be asked for a snapshot
)

// needsAbility is what a kind that needs an ability of the system has as its Fits.
func needsAbility(ability string) func(Setting) error {
	return func(s Setting) error {
		if !slices.Contains(s.Abilities, ability) {
			return fmt.Errorf("it needs a system with the ability %q, and this one has %v", ability, s.Abilities)
		}
		return nil
	}
}
