package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"rift/harness/history"
	"rift/harness/history/jepsen"
)

func (a *app) convertCommand() *cobra.Command {
	var (
		s       source
		to, out string
	)
	c := &cobra.Command{
		Use: "convert FILE", Short: "Write a history in another form: JSON lines, or Jepsen's EDN",
		Long: `Writes a history of any form that "rift check" reads as JSON lines, or as EDN that Jepsen's own tools accept. A history that is
damaged is written up to the damage, and what was dropped is said on standard error.`,
		Example: `  rift convert store/latest/history.jsonl -o history.edn
  rift convert --independent history.edn -o history.jsonl
  rift convert --from log jepsen.log | rift check --workload register /dev/stdin`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("FILE: %d given, one history wanted", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			s.path = args[0]
			return a.convert(s, to, out)
		},
	}
	f := c.Flags()
	f.StringVar(&s.format, "from", "", "form of the FILE: jsonl, edn or log (default: told by how it begins)")
	f.StringVar(&to, "to", "", "form wanted: edn or jsonl (default: edn from jsonl, and jsonl from the others)")
	f.StringVarP(&out, "output", "o", "", "file to be written (default: standard output)")
	f.BoolVar(&s.Independent, "independent", false, "values are [key value], as jepsen.independent writes them")
	f.BoolVar(&s.Observed, "failed-cas-observes", false, "a cas that failed without an error found another value")
	return c
}

// writers give the forms that can be written.
var writers = map[string]func(io.Writer) func(history.Op) error{
	"jsonl": jsonWriter,
	"edn":   func(out io.Writer) func(history.Op) error { return jepsen.NewWriter(out).Write },
}

func jsonWriter(out io.Writer) func(history.Op) error {
	var line []byte
	return func(op history.Op) error {
		line = append(op.AppendJSON(line[:0]), '\n')
		_, err := out.Write(line)
		return err
	}
}

func (a *app) convert(s source, to, path string) error {
	if _, known := writers[to]; to != "" && !known {
		return usagef("--to: %q given%s", to, nearest(to, []string{"edn", "jsonl"}))
	}
	events := 0
	var damage history.Damage
	write := func(out io.Writer) error {
		var next func(history.Op) error
		_, d, err := s.each("--from", func(f form, op history.Op) error {
			if next == nil {
				next = writers[wanted(to, f)](out)
			}
			events++
			return next(op)
		})
		damage = d
		return err
	}
	if err := a.toFile(path, write); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "%d events written\n", events)
	if s := damage.String(); s != "" {
		fmt.Fprintln(a.err, "rift:", s)
	}
	return nil
}

// wanted is the form to be written, where a form is read.
func wanted(to string, from form) string {
	switch {
	case to != "":
		return to
	case from.name == "jsonl":
		return "edn"
	}
	return "jsonl"
}

// toFile lets a file be written so that it is either the old or the new one; without a path, standard output.
func (a *app) toFile(path string, write func(io.Writer) error) error {
	if path == "" {
		out := bufio.NewWriterSize(a.out, 1<<16)
		if err := write(out); err != nil {
			return err
		}
		return out.Flush()
	}
	next := path + ".next"
	file, err := os.Create(next)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(next) // gone already if all went well
	out := bufio.NewWriterSize(file, 1<<16)
	if err := write(out); err != nil {
		file.Close()
		return err
	}
	if err := out.Flush(); err != nil {
		file.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(next, path)
}
