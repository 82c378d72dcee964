package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"rift/harness"
	"rift/harness/history"
	"rift/nemesis"
)

// Abilities are what its nodes can be asked to do.
func (Reference) Abilities() []string {
	return []string{nemesis.AbilityMembership, nemesis.AbilityTransfer}
}

// Members asks all nodes at once, and takes the first answer: each passes the question on to the leader, and some may be paused.
func (s Reference) Members(ctx context.Context, nodes []harness.Node) ([]nemesis.Member, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		members []nemesis.Member
		err     error
	}
	answers := make(chan answer, len(nodes))
	for _, n := range nodes {
		go func() { // ends with ctx at the latest
			members, err := s.membersAt(ctx, n, url.Values{"consistency": {"linearizable"}})
			if err != nil {
				err = fmt.Errorf("%s: %w", n.Name, err)
			}
			answers <- answer{members, err}
		}()
	}
	last := errors.New("none runs")
	for range nodes {
		a := <-answers
		if a.err == nil {
			return a.members, nil
		}
		last = a.err
	}
	return nil, fmt.Errorf("no node tells the members: %w", last)
}

// Joined asks one node for what its own log says.
func (s Reference) Joined(ctx context.Context, n harness.Node, identity string) (bool, error) {
	members, err := s.membersAt(ctx, n, nil)
	for _, m := range members {
		if m.Identity == identity {
			return true, err
		}
	}
	return false, err
}

func (s Reference) membersAt(ctx context.Context, n harness.Node, query url.Values) ([]nemesis.Member, error) {
	c := s.client(n, history.Test{})
	defer c.Close()
	body, err := c.do(ctx, http.MethodGet, "/v1/members", query, nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Members []struct {
			ID    string
			Voter bool
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("members, asked of %s: %w", n.Name, err)
	}
	var members []nemesis.Member
	for _, m := range answer.Members {
		members = append(members, nemesis.Member{Identity: m.ID, Voter: m.Voter})
	}
	return members, nil
}

// LaunchMember starts a node as a learner that joins the others.
func (s Reference) LaunchMember(n harness.Node, identity string, others []harness.Node, t history.Test) (harness.Launch, error) {
	var join []string
	for _, other := range others {
		join = append(join, address(other, referenceHTTP))
	}
	return s.launch(n, identity, []string{"-learner", "-join", strings.Join(join, ",")}, t)
}

// Promote gives a learner its vote.
func (s Reference) Promote(ctx context.Context, via harness.Node, identity string) error {
	return s.tell(ctx, via, http.MethodPost, "/v1/members/"+url.PathEscape(identity)+"/promote", nil)
}

// Remove takes a member out.
func (s Reference) Remove(ctx context.Context, via harness.Node, identity string) error {
	return s.tell(ctx, via, http.MethodDelete, "/v1/members/"+url.PathEscape(identity), nil)
}

// Transfer has the leader hand over.
func (s Reference) Transfer(ctx context.Context, leader harness.Node, to string) error {
	query := url.Values{}
	if to != "" {
		query.Set("to", to)
	}
	return s.tell(ctx, leader, http.MethodPost, "/v1/leader/transfer", query)
}

// tell has a node do something. One that is asked as the leader and is none, says so.
func (s Reference) tell(ctx context.Context, n harness.Node, method, path string, query url.Values) error {
	if query == nil {
		query = url.Values{}
	}
	query.Set("forward", "false")
	c := s.client(n, history.Test{})
	defer c.Close()
	_, err := c.do(ctx, method, path, query, nil)
	return err
}
