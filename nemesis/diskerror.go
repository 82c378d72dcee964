package nemesis

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"rift/harness/history"
	"rift/nemesis/lossyfs"
)

// argOp says which calls fail: one of diskCalls.
const argOp = "op"

// diskCalls are the calls that can fail, and how they show.
var diskCalls = map[string]symptom{
	"fsync": {
		calls: "fsyncs", is: "failed with EIO", unit: "failed", fatal: true,
		of: func(c lossyfs.Counts) int { return c.Fsyncs }, bites: func(c lossyfs.Counts) int { return c.FsyncErrors },
	},
	"read": {
		calls: "reads", is: "failed with EIO", unit: "failed", fatal: true,
		of: func(c lossyfs.Counts) int { return c.Reads }, bites: func(c lossyfs.Counts) int { return c.ReadErrors },
	},
	"write": {
		calls: "writes", is: "failed with EIO", unit: "failed", fatal: true,
		of: func(c lossyfs.Counts) int { return c.Writes }, bites: func(c lossyfs.Counts) int { return c.WriteErrors },
	},
}

var diskErrorKind = Kind{
	Name:    "disk-error",
	Doc:     "Fails calls to nodes' disks with EIO (op=fsync, read or write): the nth, or a share of them. A node that ends by itself, as is right, is started again.",
	Targets: NodeTargets,
	How:     "the lossy disk under the node's data answers the call with EIO; a failed fsync gives its pages up, as Linux does",
	Needs:   needsDisk,
	Proof:   "the disk counts the calls of the node that it failed",
	Disk:    true,
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = map[string]string{argOp: []string{"fsync", "fsync", "write", "read"}[r.IntN(4)]}
		if r.IntN(2) == 0 {
			p.Args[argNth] = fmt.Sprint(1 + r.IntN(20))
		} else {
			p.Args[argShare] = shares{0.05, 0.5}.draw(r)
		}
		return p
	},
	New:  newDiskError,
	Fits: fitsDisk,
	Able: ableDisk,
}

func newDiskError(p history.PlannedFault) (Fault, error) {
	op := cmp.Or(p.Args[argOp], "fsync")
	what, known := diskCalls[op]
	if !known {
		return nil, UnknownError{Field: "argument " + argOp + " of disk-error", Given: op, Allowed: slices.Sorted(maps.Keys(diskCalls))}
	}
	chance, err := parseChance(p)
	if err != nil {
		return nil, err
	}
	var faults lossyfs.Faults
	switch op {
	case "fsync":
		faults.FsyncError = chance
	case "read":
		faults.ReadError = chance
	case "write":
		faults.WriteError = chance
	}
	return newMalfunction(p, faults, what, argOp, argNth, argShare)
}
