package nemesis

import (
	"cmp"
	"math/rand/v2"
	"time"

	"rift/harness/history"
	"rift/nemesis/lossyfs"
)

// How disks are slow: argument mode of disk-slow.
const (
	argMode   = "mode"
	slowFsync = "fsync" // each fsync takes longer by argument delay
	slowStall = "stall" // nothing that needs the disk returns
)

var diskSlowKind = Kind{
	Name:    "disk-slow",
	Doc:     "Slows nodes' disks down: each fsync takes longer (mode=fsync, delay), or nothing that needs the disk returns at all (mode=stall); aimed at the leader, it freezes the leader's disk.",
	Targets: NodeTargets,
	How:     "the lossy disk under the node's data keeps the calls for so long; a process that is killed meanwhile ends at once",
	Needs:   needsDisk,
	Proof:   "the disk counts the calls of the node that it kept, and for how long",
	Disk:    true,
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = map[string]string{argMode: slowStall}
		if r.IntN(3) > 0 {
			p.Args = map[string]string{argMode: slowFsync, argDelay: logUniform(r, 20*time.Millisecond, time.Second).String()}
		}
		return p
	},
	New:  newDiskSlow,
	Fits: fitsDisk,
	Able: ableDisk,
}

func newDiskSlow(p history.PlannedFault) (Fault, error) {
	switch mode := cmp.Or(p.Args[argMode], slowFsync); mode {
	case slowFsync:
		delay, err := span{time.Millisecond, time.Minute}.parse(p, argDelay)
		if err != nil {
			return nil, err
		}
		return newMalfunction(p, lossyfs.Faults{FsyncDelay: delay}, symptom{
			calls: "fsyncs", is: "were kept for " + delay.String(), unit: "kept",
			of:    func(c lossyfs.Counts) int { return c.Fsyncs },
			bites: func(c lossyfs.Counts) int { return c.Delays },
		}, argMode, argDelay)
	case slowStall:
		return newMalfunction(p, lossyfs.Faults{Stall: true}, symptom{
			calls: "calls", is: "were kept until the end of the stall", unit: "kept",
			of:    func(c lossyfs.Counts) int { return c.Stalls },
			bites: func(c lossyfs.Counts) int { return c.Stalls },
		}, argMode)
	default:
		return nil, UnknownError{Field: "argument " + argMode + " of disk-slow", Given: mode, Allowed: []string{slowFsync, slowStall}}
	}
}
