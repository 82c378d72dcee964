package checker

import "testing"

func TestRegisterScenarios(t *testing.T) {
	runScenarios(t, "register", func(string) Checker { return Linearizable{Model: Register()} })
}
