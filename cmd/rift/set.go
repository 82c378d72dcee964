package main

import (
	"slices"

	"rift/harness"
	"rift/harness/history"
	"rift/workloads"
)

// optionsOf are the options that a workload and a system take.
func optionsOf(w workloads.Workload, s harness.System) []history.Option {
	options := slices.Clone(w.Options)
	if o, ok := s.(harness.Optioned); ok {
		options = append(options, o.Options()...)
	}
	return options
}

// checkSet refuses an option that nobody takes, which would change nothing without a word, and a value that is not allowed.
func checkSet(given map[string]string, known []history.Option) error {
	for _, name := range sortedKeys(given) {
		if len(known) == 0 {
			return usagef("--set: %q given; neither the workload nor the system takes options", name)
		}
		o, err := named("--set", name, known, func(o history.Option) string { return o.Name })
		if err != nil {
			return err
		}
		if len(o.Allowed) > 0 {
			if _, err := named("--set "+name, given[name], o.Allowed, func(v string) string { return v }); err != nil {
				return err
			}
		}
	}
	return nil
}
