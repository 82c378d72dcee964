package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"rift/harness/gen"
	"rift/harness/history"
	"rift/nemesis"
	"rift/nemesis/netfilter"
)

// silentSystem is the least that a run needs: nodes that listen, and clients whose operations all succeed.
type silentSystem struct {
	echoSystem
	program string
}

func (s silentSystem) Launch(Node, []Node, history.Test) (Launch, error) {
	return Launch{Program: s.program}, nil
}

func (silentSystem) Form(context.Context, []Node) error { return nil }

func (silentSystem) Open(context.Context, Node, history.Test) (Client, error) {
	return silentClient{}, nil
}

type silentClient struct{}

func (silentClient) Invoke(context.Context, history.Op) (json.RawMessage, error) { return nil, nil }
func (silentClient) Close() error                                                { return nil }

// stuckFault puts a firewall table in, and cannot take it out.
type stuckFault struct{ t *testing.T }

func (f stuckFault) Inject(_ context.Context, c nemesis.Cluster, _ *rand.Rand) (history.Evidence, error) {
	cut, err := netfilter.NewCut(c.Tag()+"-stuck1", nil)
	if err != nil {
		return history.Evidence{}, err
	}
	f.t.Cleanup(func() {
		if err := cut.Close(); err != nil {
			f.t.Error(err)
		}
	})
	return history.Evidence{Proven: true}, nil
}

func (stuckFault) Heal(context.Context, nemesis.Cluster) (history.Evidence, error) {
	return history.Evidence{}, errors.New("it is stuck")
}

// TestAFaultThatDoesNotHealStopsTheRun also wants to be told what is left, and how to remove it. The node that another fault has paused by then is
// not among it: that fault is healed.
func TestAFaultThatDoesNotHealStopsTheRun(t *testing.T) {
	tag, dir := newLocalTag(t), t.TempDir()
	before := nemesis.Kinds
	nemesis.Kinds = append(before[:len(before):len(before)], nemesis.Kind{
		Name: "stuck", Targets: []string{"any"}, New: func(history.PlannedFault) (nemesis.Fault, error) { return stuckFault{t}, nil },
	})
	t.Cleanup(func() { nemesis.Kinds = before })
	if err := os.Mkdir(dir+"/"+history.NodesDir, 0o755); err != nil {
		t.Fatal(err)
	}
	hosts, err := NewLocal(HostsOptions{Tag: tag, Dir: dir, Data: dir + "/data", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	const length = time.Hour
	began := time.Now()
	err = Run(t.Context(), Spec{
		Test: history.Test{Nodes: 3, Concurrency: 3, Time: history.Duration(length), OpTimeout: history.Duration(time.Second)},
		Plan: history.Plan{Faults: []history.PlannedFault{
			{ID: 1, Kind: "stuck", Lane: "stuck", Target: "any", At: history.Duration(300 * time.Millisecond), For: history.Duration(time.Millisecond)},
			{ID: 2, Kind: "pause", Lane: "pause", Target: nemesis.One, At: history.Duration(time.Millisecond), For: history.Duration(length)},
		}},
		Main:   gen.Stagger(1, 20, gen.Func(func(int) gen.Op { return gen.Op{F: "read"} })),
		System: silentSystem{program: buildListener(t)}, Hosts: hosts, Tag: tag, Dir: dir, Log: slog.New(slog.DiscardHandler), Heal: 50 * time.Millisecond,
	})
	if !errors.Is(err, ErrNotHealed) {
		t.Fatalf("error %v", err)
	}
	if took := time.Since(began); took > length/2 {
		t.Errorf("the run went on for %s", took)
	}
	table := fmt.Sprintf("firewall table bridge %[1]s-stuck1: nft delete table bridge %[1]s-stuck1", tag)
	for _, want := range []string{"it is stuck", "taken nodes: []", table} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing from: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "stopped process") {
		t.Errorf("the other fault was not healed: %v", err)
	}
}
