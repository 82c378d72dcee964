// Package nemesis breaks things on purpose: it owns the kinds of fault, the schedule of faults that a seed
// draws, and the lanes that carry it out.
//
// The one idea behind it is that a fault which did nothing is worse than none, because it makes a
// pass look earned. So each fault measures its own effect from outside, when it is put in and when it is
// taken out, and returns the figures as evidence. A fault acts on hosts (a PID and a network namespace),
// needs nothing inside the image, and works on programs that were never built for testing.
//
// To add a kind, write one file with its Kind and one line in Kinds.
package nemesis

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"time"

	"rift/harness/history"
)

// Host is a running node as a fault sees it, whatever started it.
type Host struct {
	Node   string
	PID    int        // of the node's first process, in the harness's PID namespace
	NetNS  string     // path of its network namespace: /proc/PID/ns/net
	Cgroup string     // its control group, below the root of every hierarchy: "/docker/0123"; empty if it has none of its own
	IP     netip.Addr // the same over restarts
	Port   uint16     // a TCP port on which it answers its peers, for probes
}

// Cluster is what faults need of a cluster.
type Cluster interface {
	// Nodes lists all nodes, in their order: n1, n2, ...
	Nodes() []string
	// Host is the node's running process; false if it is down.
	Host(node string) (Host, bool)
	// Peer is the address on which the node answers its peers, whether it is up or not.
	Peer(node string) netip.AddrPort
	// Bridge is the name of the Linux bridge that joins the nodes' network namespaces, in the harness's own namespace.
	Bridge() string
	// Leader asks the system who leads, and waits for a leader until the context ends; the error is then ErrNoLeader.
	Leader(ctx context.Context) (string, error)
	// Kill ends the node's processes with SIGKILL and returns when they are gone.
	Kill(ctx context.Context, node string) error
	// Start starts a node that is down, on the data it left. It returns when the process runs; it need not be ready.
	Start(ctx context.Context, node string) error
	// Board knows which nodes are down or paused, and by which fault.
	Board() *Board
	// Tag names the run; everything that a fault leaves on the machine carries it: at most 12 lower-case letters and digits.
	Tag() string
}

// Fault is one planned fault, made ready to be carried out once. Its methods are called one at a time, in
// the order Inject, any number of Reapply, Heal. Heal is called if Inject was, even after an error, and must then
// take out whatever was put in; calling it again does no harm.
type Fault interface {
	// Inject puts the fault in, measures its effect and returns the evidence: whom it hit, whether the effect
	// was proven, and the figures. Randomness comes from r alone. An error means that the fault could
	// not be put in; a fault that had nobody to hit returns Skip(why) instead, has then changed nothing, and may be tried again.
	Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error)
	// Heal takes it out and measures that its effect is gone.
	Heal(ctx context.Context, c Cluster) (history.Evidence, error)
}

// Reapplier is a fault that a restart of a node undoes. Reapply puts it in again on a node that was just started;
// it returns false if the node is not one that the fault had hit.
type Reapplier interface {
	Reapply(ctx context.Context, c Cluster, node string) (history.Evidence, bool, error)
}

// Reporter is a fault that does things by itself between Inject and Heal. Report is called once, before Inject.
type Reporter interface {
	Report(tell Teller)
}

// Teller takes down a step that a fault has just taken by itself, and how long it took. It may be called from any goroutine, from the
// beginning of Inject until Heal returns.
type Teller func(step string, took time.Duration, e history.Evidence, err error)

// Kind is one kind of fault.
type Kind struct {
	Name    string
	Doc     string   // one sentence for `rift list`
	Targets []string // what it can be aimed at; the first few are the usual ones
	How     string   // how it is done, in a sentence, for docs/faults.md
	Needs   string   // what it needs of the machine, the cluster or the system, in a few words; "" for nothing but root
	Proof   string   // how its effect is measured, in a few words
	// Draw fills in Target (one of allowed), Args and For; ID, At and Seed are the schedule's. It reads nothing but r.
	Draw func(r *rand.Rand, allowed []string) history.PlannedFault
	// New makes a planned fault ready, and refuses one with a bad target or argument, naming it.
	New  func(p history.PlannedFault) (Fault, error)
	Disk bool // it acts on the lossy file systems under the nodes' data: see Disks
	// Fits says why a run that offers this cannot have the fault, which is known before anything starts; nil if it can. It may be nil.
	Fits func(s Setting) error
	// Able says why this machine or cluster cannot do the fault; nil if it can. It may be nil.
	Able func(c Cluster) error
}

// Setting is what a run offers to faults, as far as it is known before anything starts.
type Setting struct {
	Test      history.Test
	Abilities []string // of the system under test, beyond what every system can, such as "membership"
	OwnDisk   bool     // the nodes' data is to lie on the machine's own disk
}

// Kinds are all kinds of fault, in the order in which they are listed.
var Kinds = []Kind{
	killKind,
	restartKind,
	crashLoopKind,
	killSnapshotKind,
	pauseKind,
	freezeKind,
	partitionKind,
	delayKind,
	lossKind,
	duplicateKind,
	reorderKind,
	corruptKind,
	bandwidthKind,
	clockKind,
	cpuKind,
	memoryKind,
	filesKind,
	powerKind,
	diskErrorKind,
	diskFullKind,
	diskSlowKind,
	bitFlipKind,
	truncateKind,
	membershipKind,
	transferKind,
	leaderKillKind,
}

// Skip is the evidence of a fault that had nothing to hit.
func Skip(why string) history.Evidence {
	return history.Evidence{Skipped: true, Summary: why}
}

// Recorder takes down what faults do. The harness owns the clock.
type Recorder interface {
	Now() time.Duration          // since the run's start
	Event(op history.Op)         // an event of a nemesis lane, without index and time
	Evidence(e history.Evidence) //
}
