package system

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"rift/harness"
	"rift/harness/history"
)

// The ports of an etcd node; every node has an address of its own.
const (
	etcdHTTP = 2379
	etcdPeer = 2380
)

// Etcd is etcd as its package has it, spoken to through its gRPC gateway: etcd 3.4 and later.
type Etcd struct {
	Bin string // etcd's program; empty: the one that `make systems` unpacked, or the one that is installed
}

// Name is "etcd".
func (Etcd) Name() string { return "etcd" }

// Doc is a line for `rift list`.
func (Etcd) Doc() string { return "etcd, unmodified, through the v3 API" }

// Functions are what the client can do.
func (Etcd) Functions() []string { return []string{"read", "write", "cas", "add", "list", "txn"} }

// Bugs are none.
func (Etcd) Bugs() []harness.Bug { return nil }

// etcdStale is the consistency of reads that a node answers without asking anybody.
const etcdStale = "stale"

// Options are what etcd can be told. The times are etcd's own usual ones.
func (Etcd) Options() []history.Option {
	return []history.Option{
		{
			Name: "consistency", Usual: "linearizable", Allowed: []string{"linearizable", etcdStale},
			Doc: "of reads; stale: from the node's own state (etcd's serializable)",
		},
		{Name: "heartbeat-interval", Usual: "100", Doc: "of the leader, in milliseconds"},
		{Name: "election-timeout", Usual: "1000", Doc: "in milliseconds"},
		{Name: "snapshot-count", Usual: "100000", Doc: "entries after which the log is cut off"},
	}
}

// PeerPort is the raft port.
func (Etcd) PeerPort() uint16 { return etcdPeer }

// Launch starts each node as a member of a cluster whose members are known from the start. A node that has data goes on with it.
func (s Etcd) Launch(n harness.Node, all []harness.Node, t history.Test) (harness.Launch, error) {
	program, root, err := packaged(s.Name(), "etcd", s.Bin)
	if err != nil {
		return harness.Launch{}, err
	}
	var members []string
	for _, m := range all {
		members = append(members, m.Name+"=http://"+address(m, etcdPeer))
	}
	client, peer := "http://"+address(n, etcdHTTP), "http://"+address(n, etcdPeer)
	args := []string{
		"--name", n.Name,
		"--data-dir", filepath.Join(n.Data, "etcd"), // etcd wants to make it itself, for nobody but itself
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		"--initial-cluster", strings.Join(members, ","), "--initial-cluster-token", "rift",
		"--logger", "zap", "--log-outputs", "stderr",
	}
	for _, name := range []string{"heartbeat-interval", "election-timeout", "snapshot-count"} {
		args = append(args, "--"+name, optionOf(s, t, name))
	}
	return harness.Launch{Program: program, Root: root, Args: args}, nil
}

// Form waits until every node knows the same leader and answers a linearizable read.
func (s Etcd) Form(ctx context.Context, all []harness.Node) error {
	return form(ctx, func(ctx context.Context) string { return disunity(ctx, s, all) })
}

func (Etcd) serves(ctx context.Context, n harness.Node) error {
	c := newEtcdClient(n, history.Test{})
	defer c.Close()
	_, err := c.read(ctx, "rift-form")
	return err
}

// etcdStatus is what a node says of itself. Its revision is that of the keys, its index that of the log.
type etcdStatus struct {
	Header  etcdHeader `json:"header"`
	Version string     `json:"version"`
	Leader  uint64     `json:"leader,string"` // 0: it knows none
	Term    uint64     `json:"raftTerm,string"`
	Commit  uint64     `json:"raftIndex,string"`
	Applied uint64     `json:"raftAppliedIndex,string"`
	Learner bool       `json:"isLearner"`
}

// status asks a node what it is.
func (c *etcdClient) status(ctx context.Context) (status etcdStatus, err error) {
	err = c.call(ctx, "maintenance/status", struct{}{}, &status)
	return status, err
}

// View asks a node what it believes.
func (s Etcd) View(ctx context.Context, n harness.Node) (history.View, error) {
	c := newEtcdClient(n, history.Test{})
	defer c.Close()
	return c.view(ctx, n.Name)
}

// view is what a node believes. Who is behind an ID, the node says as well. One that knows no leader is shown as a candidate, since
// etcd does not tell what it is then. A hash that goes with a revision cannot be had through the gateway of etcd 3.4.
func (c *etcdClient) view(ctx context.Context, node string) (history.View, error) {
	status, err := c.status(ctx)
	if err != nil {
		return history.View{}, fmt.Errorf("status of %s: %w", node, err)
	}
	names, voters, err := c.members(ctx)
	if err != nil {
		return history.View{}, fmt.Errorf("members that %s knows: %w", node, err)
	}
	v := history.View{
		Node: node, State: "candidate", Leader: names[status.Leader], Term: status.Term, Commit: status.Commit, Applied: status.Applied,
		Revision: uint64(status.Header.Revision), Voters: voters,
	}
	switch {
	case status.Learner:
		v.State = "learner"
	case status.Leader == status.Header.Member:
		v.State = harness.StateLeader
	case status.Leader != 0:
		v.State = "follower"
	}
	return v, nil
}

// Describe tells etcd's version.
func (s Etcd) Describe(ctx context.Context, n harness.Node) (map[string]string, error) {
	c := newEtcdClient(n, history.Test{})
	defer c.Close()
	status, err := c.status(ctx)
	if err != nil {
		return nil, fmt.Errorf("version of %s: %w", n.Name, err)
	}
	return map[string]string{s.Name(): status.Version}, nil
}

// members are the names of the members that a node knows, by their IDs, and those of them that have a vote. One that has never run
// has no name yet.
func (c *etcdClient) members(ctx context.Context) (names map[uint64]string, voters []string, err error) {
	var list struct {
		Members []struct {
			ID      uint64 `json:"ID,string"`
			Name    string `json:"name"`
			Learner bool   `json:"isLearner"`
		} `json:"members"`
	}
	if err := c.call(ctx, "cluster/member_list", struct{}{}, &list); err != nil {
		// Since etcd 3.5 this path has a slash.
		if err := c.call(ctx, "cluster/member/list", struct{}{}, &list); err != nil {
			return nil, nil, err
		}
	}
	names = make(map[uint64]string)
	for _, m := range list.Members {
		if m.Name == "" {
			m.Name = fmt.Sprintf("%x", m.ID)
		}
		names[m.ID] = m.Name
		if !m.Learner {
			voters = append(voters, m.Name)
		}
	}
	slices.Sort(voters)
	return names, voters, nil
}
