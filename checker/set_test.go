package checker

import "testing"

func TestSetScenarios(t *testing.T) {
	runScenarios(t, "set", func(string) Checker { return Set{} })
}

func TestStatsScenarios(t *testing.T) {
	runScenarios(t, "stats", func(string) Checker { return Stats{} })
}
