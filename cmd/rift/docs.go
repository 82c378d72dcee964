package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"rift/checker"
	"rift/harness/history"
	"rift/workloads"
)

// parts are what is generated of each file in docs: between the marks of that name stands what the function gives, which may read
// the files in docs.
func parts() map[string]map[string]func(docs string) (string, error) {
	return map[string]map[string]func(docs string) (string, error){
		"histories.md": {"example": worked, "values": values},
		"faults.md":    {"faults": faults, "measured": measured},
		"checkers.md":  {"checkers": checkers, "models": models, "workloads": judgedBy},
	}
}

func (a *app) docsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "docs DIR", Short: "Write the generated parts of docs/ anew", Hidden: true, Example: "  rift docs docs",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("DIR: %d given, the folder docs wanted", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			for name := range parts() {
				text, err := generated(args[0], name)
				if err != nil {
					return err
				}
				if err := history.WriteFile(filepath.Join(args[0], name), []byte(text)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// generated is a file of docs with its generated parts written anew.
func generated(docs, name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(docs, name))
	if err != nil {
		return "", usageError{err}
	}
	text := string(b)
	for part, generate := range parts()[name] {
		begin, end := fmt.Sprintf("<!-- begin %s: make docs -->\n", part), fmt.Sprintf("<!-- end %s -->", part)
		before, rest, begun := strings.Cut(text, begin)
		_, after, ended := strings.Cut(rest, end)
		if !begun || !ended {
			return "", fmt.Errorf("%s has no place for its part %q", name, part)
		}
		fresh, err := generate(docs)
		if err != nil {
			return "", fmt.Errorf("generate %s of %s: %w", part, name, err)
		}
		text = before + begin + "\n" + strings.TrimSpace(fresh) + "\n\n" + end + after
	}
	return text, nil
}

// table is a table in Markdown. Bars in cells are escaped.
func table(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		for _, cell := range row {
			fmt.Fprintf(&b, "| %s ", strings.ReplaceAll(cell, "|", `\|`))
		}
		b.WriteString("|\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}

// example is the history in docs/histories.md.
const example = "examples/reads-go-back.jsonl"

// worked is a history, the command that judges it, and what that prints.
func worked(docs string) (string, error) {
	path := filepath.Join(docs, example)
	lines, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var out, errOut bytes.Buffer
	code := run(context.Background(), []string{"check", "--workload", "register", path}, &out, &errOut)
	if errOut.Len() > 0 {
		return "", errors.New(errOut.String())
	}
	shown := "docs/" + example
	return fmt.Sprintf("```json\n%s```\n\n    rift check --workload register %s\n\n```text\n%s```\n\nThe exit code is %d.",
		lines, shown, strings.ReplaceAll(out.String(), path, shown), code), nil
}

// values tells what the functions of each promise take and answer.
func values(string) (string, error) {
	rows := [][]string{{"`--workload`", "promise", "functions: argument → answer", "can be told"}}
	for _, p := range promises {
		var told []string
		for _, s := range p.settings {
			told = append(told, fmt.Sprintf("`%s`: %s", flagOf(s.name, " ")+spelled(s.name, s.usual), s.doc))
		}
		rows = append(rows, []string{"`" + p.name + "`", p.doc, p.calls, strings.Join(told, "<br>")})
	}
	return table(rows), nil
}

// checkers tells what each checker rests on.
func checkers(string) (string, error) {
	rows := [][]string{{"checker", "promise", "cost", "source", "planted bugs", "rejects", "accepts"}}
	for i, a := range accounts {
		bugs := a.bugs()
		if i > 0 && accounts[i-1].bugs() == bugs && bugs != "" {
			bugs = "as above"
		}
		rows = append(rows, []string{"`" + a.name + "`", a.promise, a.cost, a.source, bugs, linked(a.rejects), linked(a.accepts)})
	}
	return table(rows), nil
}

// models tells what each model of the linearizability checker promises.
func models(string) (string, error) {
	rows := [][]string{{"model", "promise", "rejects", "accepts"}}
	for _, m := range checker.Models() {
		proof, known := modelProofs[m.Name]
		if !known {
			return "", fmt.Errorf("the model %s has no line in modelProofs", m.Name)
		}
		rows = append(rows, []string{"`" + m.Name + "`", m.Doc, linked(proof[0]), linked(proof[1])})
	}
	return table(rows), nil
}

// judgedBy tells which checkers each workload names.
func judgedBy(string) (string, error) {
	rows := [][]string{{"workload", "what clients do", "checkers"}}
	for _, w := range workloads.All {
		var names []string
		for _, c := range w.Checkers() {
			names = append(names, "`"+c.Name+"`")
		}
		rows = append(rows, []string{"`" + w.Name + "`", w.Doc, strings.Join(names, ", ")})
	}
	return table(rows), nil
}

// linked is a link from docs to a file of the repository.
func linked(file string) string {
	if file == "" {
		return ""
	}
	return fmt.Sprintf("[%s](../%s)", filepath.Base(file), file)
}
