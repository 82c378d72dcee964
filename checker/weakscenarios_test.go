package checker

import "testing"

func TestSequentialScenarios(t *testing.T) {
	runScenarios(t, "sequential", func(string) Checker { return Sequential{} })
}

func TestCausalScenarios(t *testing.T) {
	runScenarios(t, "causal", func(string) Checker { return Causal{Convergent: true} })
}
