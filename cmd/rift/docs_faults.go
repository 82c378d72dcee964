package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"rift/harness/history"
	"rift/nemesis"
)

// measuredFile is where what was measured of faults is stored, below docs.
const measuredFile = "measured/faults.json"

// faults tells what each kind of fault is.
func faults(docs string) (string, error) {
	m, err := readMeasured(docs)
	if err != nil {
		return "", err
	}
	rows := [][]string{{"fault", "targets", "how it works", "needs", "evidence", "arguments", "to put in", "to heal"}}
	for _, k := range nemesis.Kinds {
		in, out := "not measured", "not measured"
		if f, ok := m.of(k.Name); ok {
			in, out = fmt.Sprintf("%.2f ms", f.Applied.P50), fmt.Sprintf("%.2f ms", f.Healed.P50)
		}
		rows = append(rows, []string{
			"**" + k.Name + "**: " + k.Doc, strings.Join(k.Targets, ", "), k.How, k.Needs, k.Proof, strings.Join(arguments(k), "<br>"), in, out,
		})
	}
	return table(rows), nil
}

// arguments are the names of the arguments that schedules draw for a kind, in the order in which they are met, each with one value.
func arguments(k nemesis.Kind) []string {
	const draws = 50 // for each target; some skews have arguments that others have not
	var all []string
	met := make(map[string]bool)
	for _, target := range k.Targets {
		r := history.Rand(1, "docs/"+k.Name+"/"+target)
		for range draws {
			args := k.Draw(r, []string{target}).Args
			for _, name := range sortedKeys(args) {
				if !met[name] {
					met[name] = true
					all = append(all, fmt.Sprintf("`%s=%s`", name, args[name]))
				}
			}
		}
	}
	return all
}

// measured tells how long faults take, and what rift itself uses.
func measured(docs string) (string, error) {
	m, err := readMeasured(docs)
	if err != nil {
		return "", err
	}
	rows := [][]string{{"fault", "nodes, target", "proven", "in p50", "in p99", "proven in p50", "out p50", "out p99", "proven out p50"}}
	figure := func(ms float64) string { return fmt.Sprintf("%.2f ms", ms) }
	for _, k := range nemesis.Kinds {
		f, ok := m.of(k.Name)
		if !ok {
			continue
		}
		rows = append(rows, []string{
			f.Kind, f.Nodes + ", " + f.Target, fmt.Sprintf("%d of %d", f.Proven, m.Repetitions), figure(f.Applied.P50), figure(f.Applied.P99), figure(f.AppliedProof.P50),
			figure(f.Healed.P50), figure(f.Healed.P99), figure(f.HealedProof.P50),
		})
	}
	return fmt.Sprintf(`Measured on %s with rift %s: %s, %d nodes (%s), %d trials of each fault.

%s
Rift itself, its clients included, used %.1f %% of one processor under a steady load of %.0f writes a second without faults, and %.1f %% with %d faults in
that disturbed nobody, on a link that carried nothing: %s.`,
		m.Date, m.Version, m.Machine, m.Nodes, m.Cluster, m.Repetitions, table(rows), m.Overhead.Plain, m.Overhead.Rate, m.Overhead.Armed,
		len(m.Overhead.Kinds), strings.Join(m.Overhead.Kinds, ", ")), nil
}

// readMeasured reads what was measured last; nothing if nothing was.
func readMeasured(docs string) (m measuredFaults, err error) {
	b, err := os.ReadFile(filepath.Join(docs, measuredFile))
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return m, fmt.Errorf("%s: %w", measuredFile, err)
	}
	return m, nil
}

func (m measuredFaults) of(kind string) (measuredFault, bool) {
	for _, f := range m.Faults {
		if f.Kind == kind && f.Proven > 0 {
			return f, true
		}
	}
	return measuredFault{}, false
}
