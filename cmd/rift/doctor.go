package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rift/harness"
	"rift/harness/history"
	"rift/harness/machine"
)

// doctored are what --cluster of the doctor takes.
var doctored = []string{"all", "docker", "local"}

// finding is one line of what the doctor says.
type finding struct {
	Where     string  `json:"where"` // machine, docker or local
	Name      string  `json:"name"`  // of a feature or of a kind of fault
	Available bool    `json:"available"`
	Spare     bool    `json:"spare,omitempty"` // rift does without it
	Saw       string  `json:"saw,omitempty"`   // what was tried, and what it showed
	Why       string  `json:"why,omitempty"`   // it is not available
	Get       string  `json:"get,omitempty"`   // how to come by it
	Nodes     string  `json:"nodes,omitempty"` // on which the fault was tried: echo nodes, or the system's
	InjectMS  float64 `json:"inject_ms,omitempty"`
	HealMS    float64 `json:"heal_ms,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	var cluster string
	var asJSON bool
	c := &cobra.Command{
		Use: "doctor", Short: "Try what this machine can do, fault by fault, and say how to get the rest",
		Long: `Tries the features of the machine that faults need, and then carries every kind of fault out on a small scratch cluster: puts it in, measures
that it bites, takes it out, and measures that it is gone. The nodes do nothing but answer; faults that need a system are tried on reference nodes. Everything
is taken down again. Exits 0 if all is available that was asked for, else 1.`,
		Example: "  rift doctor\n  rift doctor --cluster local --json", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := named("--cluster", cluster, doctored, func(s string) string { return s }); err != nil {
				return err
			}
			d := &doctor{app: a, out: plainFindings{a.out}, progress: a.err}
			if asJSON {
				d.out = jsonFindings{json.NewEncoder(a.out)}
			}
			return d.examine(c.Context(), cluster)
		},
	}
	c.Flags().StringVar(&cluster, "cluster", "all", "where faults are tried: docker, local or all")
	c.Flags().BoolVar(&asJSON, "json", false, "write a JSON object a line")
	return c
}

// doctor examines the machine.
type doctor struct {
	*app
	out      interface{ show(f finding) error }
	progress io.Writer
}

// tell shows a finding, and remembers that something is missing.
func (d *doctor) tell(f finding) error {
	if !f.Available && !f.Spare {
		d.exit = exitInvalid
	}
	return d.out.show(f)
}

// examine looks at the machine and at the clusters that were asked for. What somebody who is not root can have of a local cluster is found out in a user namespace.
func (d *doctor) examine(ctx context.Context, cluster string) error {
	rootless := cluster != "docker" && harness.LocalAble() != nil
	if !rootless || cluster == "all" {
		d.sweepFirst(ctx)
		if err := d.examineMachine(ctx, cluster); err != nil {
			return err
		}
	}
	if cluster != "local" {
		if err := d.examineFaults(ctx, "docker"); err != nil {
			return err
		}
	}
	switch {
	case cluster == "docker":
		return nil
	case rootless:
		missing := d.exit
		_, err := d.enclose(ctx, "local")
		d.exit = max(d.exit, missing)
		return err
	}
	return d.examineFaults(ctx, "local")
}

// examineMachine tries the features, and the engine if it was asked for.
func (d *doctor) examineMachine(ctx context.Context, cluster string) (err error) {
	owner, err := harness.Claim()
	if err != nil {
		return err
	}
	dir := filepath.Join(harness.DataRoot(), owner.Tag)
	defer func() { err = errors.Join(err, os.RemoveAll(dir), owner.Release()) }()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, feature := range machine.Features {
		f := finding{Where: "machine", Name: feature.Name, Spare: feature.Spare}
		if f.Saw, err = feature.Try(machine.Trial{Tag: owner.Tag, Dir: dir}); err != nil {
			f.Saw, f.Why, f.Get = "", err.Error(), feature.Get
		}
		f.Available = err == nil
		if err := d.tell(f); err != nil {
			return err
		}
	}
	if err := d.tell(userNamespaces(ctx)); err != nil || cluster == "local" {
		return err
	}
	return d.tell(engine(ctx))
}

// userNamespaces tries what an ordinary user's local cluster needs.
func userNamespaces(ctx context.Context) finding {
	f := finding{Where: "machine", Name: "user namespaces", Saw: "rift was started in one", Available: true, Spare: true}
	if _, err := tryEnclosures(ctx); err != nil {
		f.Available, f.Saw, f.Why = false, "", err.Error()
		f.Get = "user.max_user_namespaces above 0, and kernel.apparmor_restrict_unprivileged_userns=0 where there is AppArmor; only ordinary users need it"
	}
	return f
}

// engine asks the container engine for its version.
func engine(ctx context.Context) finding {
	f := finding{Where: "machine", Name: "Docker", Get: "start it (`systemctl start docker`) and join the group docker; or use --cluster local"}
	client, err := harness.DockerEngine(ctx)
	if err != nil {
		f.Why = err.Error()
		return f
	}
	defer client.Close()
	version, err := client.ServerVersion(ctx)
	if err != nil {
		f.Why = err.Error()
		return f
	}
	f.Available, f.Saw, f.Get = true, "version "+version.Version+" answers", ""
	return f
}

// examineFaults carries every kind of fault out on one kind of cluster.
func (d *doctor) examineFaults(ctx context.Context, cluster string) error {
	var told error
	err := d.tryFaults(ctx, cluster, 1, func(t attempt) {
		told = errors.Join(told, d.tell(findingOf(cluster, t)))
	})
	return errors.Join(told, err)
}

// findingOf is what a trial of a fault says.
func findingOf(cluster string, t attempt) finding {
	f := finding{
		Where: cluster, Name: t.kind.Name, Available: t.Proven(), Nodes: t.system, Saw: t.Inject.Summary,
		InjectMS: milliseconds(applied(t.Inject)), HealMS: milliseconds(applied(t.Heal)),
	}
	if f.Available {
		return f
	}
	f.Saw, f.Get = "", t.kind.Needs
	switch {
	case t.Err != nil:
		f.Why = t.Err.Error()
	case !t.Inject.Proven:
		f.Why = unproven(t.Inject)
	default:
		f.Why = unproven(t.Heal)
	}
	return f
}

// unproven says what a step showed that did not show what it should.
func unproven(e history.Evidence) string {
	if e.Error != "" {
		return e.Step + ": " + e.Error
	}
	return e.Step + ": " + e.Summary
}

// plainFindings are lines for people.
type plainFindings struct{ w io.Writer }

func (p plainFindings) show(f finding) error {
	mark, said := "✓", f.Saw
	if f.InjectMS > 0 || f.HealMS > 0 {
		said = fmt.Sprintf("in %.2f ms, out %.2f ms (%s nodes): %s", f.InjectMS, f.HealMS, f.Nodes, f.Saw)
	}
	if !f.Available {
		mark, said = "✗", f.Why
		if f.Spare {
			mark, said = "–", "not needed: "+f.Why
		}
		if f.Get != "" {
			said += "; to get it: " + f.Get
		}
	}
	_, err := fmt.Fprintf(p.w, "%s %-8s %-24s %s\n", mark, f.Where, f.Name, said)
	return err
}

// jsonFindings are objects, one a line.
type jsonFindings struct{ *json.Encoder }

func (j jsonFindings) show(f finding) error { return j.Encode(f) }
