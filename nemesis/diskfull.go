package nemesis

import (
	"math/rand/v2"

	"rift/harness/history"
	"rift/nemesis/lossyfs"
)

var diskFullKind = Kind{
	Name:    "disk-full",
	Doc:     "Has nodes find their disks full: every write, or a share of them, fails with ENOSPC. A node that ends by itself, as is right, is started again.",
	Targets: NodeTargets,
	How:     "the lossy disk under the node's data answers writes, and the making of files and folders, with ENOSPC",
	Needs:   needsDisk,
	Proof:   "the disk counts the calls of the node that it refused",
	Disk:    true,
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		if r.IntN(2) == 0 {
			p.Args = map[string]string{argShare: shares{0.05, 0.5}.draw(r)}
		}
		return p
	},
	New:  newDiskFull,
	Fits: fitsDisk,
	Able: ableDisk,
}

func newDiskFull(p history.PlannedFault) (Fault, error) {
	share := 1.0
	if _, given := p.Args[argShare]; given {
		var err error
		if share, err = (shares{0.001, 1}).parse(p, argShare); err != nil {
			return nil, err
		}
	}
	return newMalfunction(p, lossyfs.Faults{NoSpace: lossyfs.Chance{Share: share}}, symptom{
		calls: "writes and new files", is: "found the disk full", unit: "refused", fatal: true,
		of:    func(c lossyfs.Counts) int { return c.Writes + c.Creates },
		bites: func(c lossyfs.Counts) int { return c.NoSpace },
	}, argShare)
}
