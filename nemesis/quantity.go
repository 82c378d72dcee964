package nemesis

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"rift/harness/history"
)

// Arguments of faults on packets.
const (
	argShare  = "share"  // of the packets, each by itself
	argDelay  = "delay"  // of every packet
	argJitter = "jitter" // to either side of the delay
)

// shares is a range of shares, both ends included.
type shares struct{ least, most float64 }

// parse reads an argument that is a share.
func (s shares) parse(p history.PlannedFault, name string) (float64, error) {
	share, err := strconv.ParseFloat(p.Args[name], 64)
	if err != nil || !(share >= s.least && share <= s.most) {
		return 0, fmt.Errorf("argument %s of %s: %q given, a number from %v to %v allowed", name, p.Kind, p.Args[name], s.least, s.most)
	}
	return share, nil
}

// draw draws a share in hundredths.
func (s shares) draw(r *rand.Rand) string {
	least, most := int(s.least*100), int(s.most*100)
	return fmt.Sprint(float64(least+r.IntN(most-least+1)) / 100)
}

// parse reads an argument that is a time within the range.
func (s span) parse(p history.PlannedFault, name string) (time.Duration, error) {
	d, err := time.ParseDuration(p.Args[name])
	if err != nil || d < s.least || d > s.most {
		return 0, fmt.Errorf("argument %s of %s: %q given, a time from %v to %v allowed", name, p.Kind, p.Args[name], s.least, s.most)
	}
	return d, nil
}
