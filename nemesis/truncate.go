package nemesis

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"rift/harness/history"
	"rift/nemesis/lossyfs"
)

// argBytes is the most that is cut off.
const argBytes = "bytes"

var truncateKind = Kind{
	Name:    "truncate",
	Doc:     "Cuts 1 to so many bytes (argument bytes) off the end of a file of nodes while they are stopped. It hits a minority over the whole run; a node that finds the damage and refuses to start stays down.",
	Targets: decayTargets,
	How:     "the lossy disk under the node's data cuts the file",
	Needs:   needsDisk,
	Proof:   "the file's length is read back through the mount",
	Disk:    true,
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = map[string]string{argBytes: fmt.Sprint(1 << r.IntN(13))}
		return p
	},
	New:  newTruncate,
	Fits: fitsDisk,
	Able: ableDisk,
}

func newTruncate(p history.PlannedFault) (Fault, error) {
	if err := checkDecay(p, argBytes); err != nil {
		return nil, err
	}
	most, err := strconv.ParseInt(p.Args[argBytes], 10, 64)
	if err != nil || most < 1 {
		return nil, fmt.Errorf("argument %s of truncate: %q given, a number from 1 allowed", argBytes, p.Args[argBytes])
	}
	return &decay{
		planned: p,
		harm: func(disk *lossyfs.FS, r *rand.Rand) (lossyfs.Damage, error) {
			return disk.TruncateTail(p.Args[argPath], most, r)
		},
		tell: func(d lossyfs.Damage) string {
			return fmt.Sprintf("has lost its last %d bytes, and has %d left", d.Bytes, d.Offset)
		},
		proven: func(disk *lossyfs.FS, d lossyfs.Damage) bool {
			st, err := os.Stat(filepath.Join(disk.Mountpoint(), d.Path))
			return err == nil && st.Size() == d.Offset
		},
	}, nil
}
