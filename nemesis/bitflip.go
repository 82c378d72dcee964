package nemesis

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"rift/harness/history"
	"rift/nemesis/lossyfs"
)

// When bits flip: argument mode of bit-flip.
const (
	flipRest = "rest" // one bit of a file, while the node is stopped
	flipRead = "read" // one bit of what a read returns, with arguments nth or share
)

var bitFlipKind = Kind{
	Name:    "bit-flip",
	Doc:     "Flips bits of nodes' data: one of a file while the node is stopped (mode=rest), or of what reads return (mode=read). It hits a minority over the whole run; a node that finds the damage and refuses to start stays down.",
	Targets: decayTargets,
	How:     "the lossy disk under the node's data changes the file, or what it answers",
	Needs:   needsDisk,
	Proof:   "the byte is read back through the mount; flips in what was read are counted",
	Disk:    true,
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = map[string]string{argMode: flipRest}
		if r.IntN(3) == 0 {
			p.Args = map[string]string{argMode: flipRead, argNth: fmt.Sprint(1 + r.IntN(5))}
		}
		return p
	},
	New:  newBitFlip,
	Fits: fitsDisk,
	Able: ableDisk,
}

func newBitFlip(p history.PlannedFault) (Fault, error) {
	switch mode := cmp.Or(p.Args[argMode], flipRest); mode {
	case flipRest:
		if err := checkDecay(p, argMode); err != nil {
			return nil, err
		}
		return &decay{
			planned: p,
			harm: func(disk *lossyfs.FS, r *rand.Rand) (lossyfs.Damage, error) {
				return disk.FlipAtRest(p.Args[argPath], r)
			},
			tell:   func(d lossyfs.Damage) string { return fmt.Sprintf("has bit %d of byte %d flipped", d.Bit, d.Offset) },
			proven: holdsByte,
		}, nil
	case flipRead:
		if err := checkDecay(p, argMode, argNth, argShare); err != nil {
			return nil, err
		}
		chance, err := parseChance(p)
		if err != nil {
			return nil, err
		}
		f, err := newMalfunction(p, lossyfs.Faults{FlipRead: chance}, symptom{
			calls: "reads", is: "had a bit flipped", unit: "flipped", fatal: true,
			of:    func(c lossyfs.Counts) int { return c.Reads },
			bites: func(c lossyfs.Counts) int { return c.Flips },
		}, argMode, argNth, argShare)
		if err != nil {
			return nil, err
		}
		f.corrupt = true
		return f, nil
	default:
		return nil, UnknownError{Field: "argument " + argMode + " of bit-flip", Given: mode, Allowed: []string{flipRest, flipRead}}
	}
}

// checkDecay refuses a planned fault that damages files with a bad target, pattern or argument; args are those besides path.
func checkDecay(p history.PlannedFault, args ...string) error {
	return cmp.Or(checkPlanned(p, decayTargets, append(args, argPath)), checkPattern(p))
}

// holdsByte says whether the file holds, read through the mount, what the damage made of the byte.
func holdsByte(disk *lossyfs.FS, d lossyfs.Damage) bool {
	file, err := os.Open(filepath.Join(disk.Mountpoint(), d.Path))
	if err != nil {
		return false
	}
	defer file.Close()
	var b [1]byte
	_, err = file.ReadAt(b[:], d.Offset)
	return err == nil && b[0] == d.Byte
}
