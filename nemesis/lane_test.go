package nemesis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"rift/harness/history"
)

// notes is a recorder that keeps everything.
type notes struct {
	mu       sync.Mutex
	start    time.Time
	events   []history.Op
	evidence []history.Evidence
}

func (n *notes) Now() time.Duration { return time.Since(n.start) }

func (n *notes) Event(op history.Op) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, op)
}

func (n *notes) Evidence(e history.Evidence) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.evidence = append(n.evidence, e)
}

// scripted is a fault that does what a test says.
type scripted struct {
	inject func() (history.Evidence, error)
	heal   func() (history.Evidence, error)
}

func (f scripted) Inject(context.Context, Cluster, *rand.Rand) (history.Evidence, error) {
	return f.inject()
}
func (f scripted) Heal(context.Context, Cluster) (history.Evidence, error) { return f.heal() }

// withKind has a test's own kind of fault among Kinds while it runs.
func withKind(t *testing.T, f Fault) {
	t.Helper()
	before := Kinds
	Kinds = append(Kinds[:len(Kinds):len(Kinds)], Kind{Name: "scripted", Targets: []string{"any"}, New: func(history.PlannedFault) (Fault, error) { return f, nil }})
	t.Cleanup(func() { Kinds = before })
}

func runScripted(t *testing.T, ctx context.Context, f Fault, length time.Duration) ([]history.Evidence, error) {
	t.Helper()
	withKind(t, f)
	n := &notes{start: time.Now()}
	r := &Runner{Cluster: newProcessCluster(t, 0), Record: n, Log: slog.New(slog.DiscardHandler), HealTime: 500 * time.Millisecond}
	err := r.Run(ctx, []history.PlannedFault{{ID: 1, Lane: "l", Kind: "scripted", Target: "any", For: history.Duration(length)}})
	if len(r.Active()) > 0 {
		t.Errorf("after the run, %v are active", r.Active())
	}
	return n.evidence, err
}

func good() (history.Evidence, error) { return history.Evidence{Proven: true}, nil }

func TestAFaultThatFindsNobodyTriesAgain(t *testing.T) {
	tries := 0
	evidence, err := runScripted(t, t.Context(), scripted{heal: good, inject: func() (history.Evidence, error) {
		switch tries++; tries {
		case 1:
			return Skip("all taken"), nil
		case 2:
			return history.Evidence{}, fmt.Errorf("ask: %w", ErrNoLeader)
		}
		return good()
	}}, 2*time.Second)
	if err != nil || len(evidence) != 2 || !evidence[0].Proven || evidence[0].Skipped || tries != 3 {
		t.Errorf("%d tries, evidence %+v, error %v", tries, evidence, err)
	}
}

func TestAFaultIsHealedWhenTheRunIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	evidence, err := runScripted(t, ctx, scripted{heal: good, inject: func() (history.Evidence, error) {
		interrupt()
		return good()
	}}, time.Hour)
	if err != nil || len(evidence) != 2 || evidence[1].Step != history.StepHeal {
		t.Errorf("evidence %+v, error %v", evidence, err)
	}
}

func TestAFaultThatCannotBePutInIsHealedAndSaid(t *testing.T) {
	evidence, err := runScripted(t, t.Context(), scripted{heal: good, inject: func() (history.Evidence, error) {
		return history.Evidence{Proven: true}, errors.New("no such table")
	}}, time.Millisecond)
	if err != nil || len(evidence) != 2 || evidence[0].Proven || evidence[0].Error != "no such table" {
		t.Errorf("evidence %+v, error %v", evidence, err)
	}
}

func TestAFaultThatDoesNotHealFailsTheRun(t *testing.T) {
	_, err := runScripted(t, t.Context(), scripted{inject: good, heal: func() (history.Evidence, error) {
		return history.Evidence{}, errors.New("still cut")
	}}, time.Millisecond)
	if err == nil {
		t.Error("the run goes on with a fault that is still in")
	}
}

// undone is a fault that a restart undoes.
type undone struct {
	scripted
	again *int // how often it was put in again
}

func (f undone) Reapply(context.Context, Cluster, string) (history.Evidence, bool, error) {
	*f.again++
	return history.Evidence{Proven: true}, true, nil
}

// A heal that starts a node must not wait for itself, and what is being healed is not put in again.
func TestAHealMayStartNodes(t *testing.T) {
	n := &notes{start: time.Now()}
	r := &Runner{Cluster: newProcessCluster(t, 0), Record: n, Log: slog.New(slog.DiscardHandler)}
	again := 0
	withKind(t, undone{scripted{inject: good, heal: func() (history.Evidence, error) {
		r.Restarted(t.Context(), "n1")
		return good()
	}}, &again})
	healed := make(chan error, 1)
	go func() {
		healed <- r.Run(t.Context(), []history.PlannedFault{{ID: 1, Lane: "l", Kind: "scripted", Target: "any"}})
	}()
	select {
	case err := <-healed:
		if err != nil || again != 0 || len(n.evidence) != 2 {
			t.Errorf("put in again %d times, evidence %+v, error %v", again, n.evidence, err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a heal that starts a node waits for itself")
	}
}

func TestHoldPutsAllInAndReleasesThem(t *testing.T) {
	var mu sync.Mutex
	in, most, healed := 0, 0, 0
	withKind(t, scripted{
		inject: func() (history.Evidence, error) {
			mu.Lock()
			defer mu.Unlock()
			in++
			most = max(most, in)
			return good()
		},
		heal: func() (history.Evidence, error) {
			mu.Lock()
			defer mu.Unlock()
			in--
			healed++
			return good()
		},
	})
	n := &notes{start: time.Now()}
	r := &Runner{Cluster: newProcessCluster(t, 0), Record: n, Log: slog.New(slog.DiscardHandler)}
	var plan []history.PlannedFault
	for id := 1; id <= 3; id++ {
		plan = append(plan, history.PlannedFault{ID: id, Lane: fmt.Sprint(id), Kind: "scripted", Target: "any", For: history.Duration(time.Hour)})
	}
	ctx, interrupt := context.WithCancel(t.Context())
	release := r.Hold(ctx, plan)
	if most != 3 || len(r.Active()) != 3 {
		t.Errorf("%d are in at once, %v are active", most, r.Active())
	}
	interrupt()
	if err := release(); err != nil || healed != 3 || len(r.Active()) > 0 {
		t.Errorf("%d were healed, %v are active, error %v", healed, r.Active(), err)
	}
	processes := make(map[int]bool)
	for _, e := range n.events {
		processes[e.Process] = true
	}
	if len(processes) != 3 || processes[0] {
		t.Errorf("the lanes are %v", processes)
	}
	if err := r.Hold(t.Context(), []history.PlannedFault{{ID: 4, Kind: "no such kind"}})(); err == nil {
		t.Error("a fault of no kind was held")
	}
}
