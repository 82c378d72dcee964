package nemesis

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"golang.org/x/sys/unix"

	"rift/harness/history"
)

// argSpare is how many files and connections more a node may open.
const argSpare = "spare"

var filesKind = Kind{
	Name:    "files",
	Doc:     "Leaves nodes no file descriptors, or a few, beyond those that they have open: they cannot accept a connection or open a file.",
	Targets: NodeTargets,
	How:     "prlimit(2) lowers RLIMIT_NOFILE of the node's processes to what they have open",
	Needs:   "",
	Proof: "every descriptor below the limit is seen taken, while a connection to the node waits in the kernel and is not accepted; " +
		"after the heal one is",
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = map[string]string{argSpare: fmt.Sprint(r.IntN(5))}
		return p
	},
	New: func(p history.PlannedFault) (Fault, error) {
		if err := checkPlanned(p, NodeTargets, []string{argSpare}); err != nil {
			return nil, err
		}
		spare, err := strconv.Atoi(p.Args[argSpare])
		if err != nil || spare < 0 || spare > maxSpare {
			return nil, fmt.Errorf("argument %s of %s: %q given, a whole number from 0 to %d allowed", argSpare, p.Kind, p.Args[argSpare], maxSpare)
		}
		did := fmt.Sprintf("left %d file descriptors to", spare)
		return newLimit(p, did, func() restraint { return &filesLimit{spare: spare} }), nil
	},
	Able: ableToLimitFiles,
}

// ableToLimitFiles says why the open files of the nodes cannot be limited; nil if they can. It sets the limits that are set already.
func ableToLimitFiles(c Cluster) error {
	for _, node := range c.Nodes() {
		h, up := c.Host(node)
		if !up {
			continue
		}
		var limit unix.Rlimit
		err := unix.Prlimit(h.PID, unix.RLIMIT_NOFILE, nil, &limit)
		if err == nil {
			err = unix.Prlimit(h.PID, unix.RLIMIT_NOFILE, &limit, nil)
		}
		if err == nil {
			_, err = openFiles(h.PID)
		}
		if err != nil {
			return fmt.Errorf("limit the open files of %s, which is another user's process without root: %w", node, err)
		}
	}
	return ableToKnock(c)
}

// maxSpare bounds the spare descriptors: the proof takes them all with connections, and those that are refused wait in the node's backlog.
const maxSpare = 64
