package nemesis

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"rift/harness/history"
	"rift/nemesis/lossyfs"
)

// Disks is a cluster whose nodes' data lies on file systems that can be made to fail. It is an optional interface of a Cluster.
type Disks interface {
	// Disk is the file system under a node's data directory; nil if the run has none there.
	Disk(node string) *lossyfs.FS
}

// needsDisk is what kinds that act on a lossy disk need.
const needsDisk = "a lossy disk under the nodes' data (--disk ext4 or strict), /dev/fuse and the right to mount"

// fitsDisk refuses a run that wants the machine's own disk.
func fitsDisk(s Setting) error {
	if s.OwnDisk {
		return errors.New("it needs a lossy disk under the nodes' data, not the machine's own (--disk)")
	}
	return nil
}

// NeedsDisk says whether a fault of a plan acts on lossy disks.
func NeedsDisk(plan []history.PlannedFault) bool {
	return slices.ContainsFunc(plan, func(p history.PlannedFault) bool {
		k, err := Find(p.Kind)
		return err == nil && k.Disk
	})
}

// diskOf is the lossy disk of a node.
func diskOf(c Cluster, node string) (*lossyfs.FS, error) {
	if d, ok := c.(Disks); ok {
		if fs := d.Disk(node); fs != nil {
			return fs, nil
		}
	}
	return nil, fmt.Errorf("the data of %s lies on no lossy disk", node)
}

// ableDisk looks for the mount under each node's data.
func ableDisk(c Cluster) error {
	for _, node := range c.Nodes() {
		fs, err := diskOf(c, node)
		if err != nil {
			return fmt.Errorf("%w; give the run one: --disk ext4 or --disk strict", err)
		}
		if !onFuse(fs.Mountpoint()) {
			return fmt.Errorf("nothing is mounted on %s, the data of %s", fs.Mountpoint(), node)
		}
	}
	if len(c.Nodes()) == 0 {
		return errors.New("the cluster has no nodes")
	}
	return nil
}

// onFuse says whether what lies at a path is on a FUSE file system that somebody serves, as the kernel tells it.
func onFuse(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.FUSE_SUPER_MAGIC
}
