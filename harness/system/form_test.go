package system

import (
	"context"
	"errors"
	"strings"
	"testing"

	"rift/harness"
	"rift/harness/history"
)

// played is a cluster whose nodes believe and do what is written here.
type played struct {
	views map[string]history.View // those that are not here do not answer
	mute  string                  // it answers no read
}

func (p played) View(_ context.Context, n harness.Node) (history.View, error) {
	v, ok := p.views[n.Name]
	if !ok {
		return v, errors.New("down")
	}
	return v, nil
}

func (p played) serves(_ context.Context, n harness.Node) error {
	if n.Name == p.mute {
		return errors.New("mute")
	}
	return nil
}

func TestAClusterIsFormedWhenAllNodesAgreeAndServe(t *testing.T) {
	both := []string{"n1", "n2"}
	follows := func(leader string) history.View { return history.View{Leader: leader, Voters: both} }
	all := []harness.Node{{Name: "n1"}, {Name: "n2"}}
	for _, tc := range []struct {
		name    string
		cluster played
		missing string
	}{
		{"formed", played{views: map[string]history.View{"n1": follows("n1"), "n2": follows("n1")}}, ""},
		{"one is down", played{views: map[string]history.View{"n1": follows("n1")}}, "n2 does not answer: down"},
		{"no leader", played{views: map[string]history.View{"n1": follows("n1"), "n2": follows("")}}, "n2 knows no leader"},
		{"two leaders", played{views: map[string]history.View{"n1": follows("n1"), "n2": follows("n2")}}, "n2 follows n2, others follow n1"},
		{"one is no member", played{views: map[string]history.View{"n1": {Leader: "n1", Voters: both[:1]}}}, "n1 knows 1 voters of 2"},
		{"one does not serve", played{views: map[string]history.View{"n1": follows("n1"), "n2": follows("n1")}, mute: "n2"}, "n2 does not serve: mute"},
	} {
		if got := disunity(t.Context(), tc.cluster, all); got != tc.missing {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.missing)
		}
	}
}

func TestFormWaitsAndSaysWhatItWaitedFor(t *testing.T) {
	looks := 0
	err := form(t.Context(), func(context.Context) string {
		looks++
		return map[int]string{1: "n1", 2: "n2"}[looks]
	})
	if err != nil || looks != 3 {
		t.Errorf("%d looks, %v", looks, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := form(over, func(context.Context) string { return "n1 is down" }); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "n1 is down") {
		t.Errorf("got %v", err)
	}
}
