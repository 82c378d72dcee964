package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"rift/harness"
	"rift/harness/system"
	"rift/nemesis"
	"rift/workloads"
)

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List workloads, faults, systems and bugs", Example: "  rift list", Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return list(a.out) },
	}
}

func list(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WORKLOADS\tneeds\t")
	for _, l := range workloads.All {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", l.Name, strings.Join(l.Needs, ", "), l.Doc)
	}
	fmt.Fprintln(w, "\nFAULTS\ttargets\t")
	for _, k := range nemesis.Kinds {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", k.Name, strings.Join(k.Targets, ", "), k.Doc)
	}
	fmt.Fprintln(w, "\nSYSTEMS\tworkloads\t")
	for _, make := range system.All {
		s := make("")
		fmt.Fprintf(w, "  %s\t%s\t%s\n", s.Name(), strings.Join(runs(s), ", "), s.Doc())
		for _, o := range optionsOf(workloads.Workload{}, s) {
			fmt.Fprintf(w, "    --set %s=%s\t%s\t%s\n", o.Name, o.Usual, strings.Join(o.Allowed, ", "), o.Doc)
		}
		for _, b := range s.Bugs() {
			fmt.Fprintf(w, "    --bug %s\t%s, %s\t%s\n", b.Name, b.Workload, faultsOf(b), b.Doc)
		}
	}
	fmt.Fprintln(w, "\nHISTORIES\toptions\t(rift check --workload NAME FILE)")
	for _, p := range promises {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", p.name, p.options(), p.doc)
	}
	return w.Flush()
}

// runs are the workloads whose functions the system's client has.
func runs(s harness.System) []string {
	var names []string
	for _, l := range workloads.All {
		if !slices.ContainsFunc(l.Needs, func(f string) bool { return !slices.Contains(s.Functions(), f) }) {
			names = append(names, l.Name)
		}
	}
	return names
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
