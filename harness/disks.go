package harness

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"rift/nemesis/lossyfs"
)

// DiskOptions say what the nodes' data lies on. The zero value is this machine's own disk.
type DiskOptions struct {
	Model        string        // of a lossy file system under each node's data directory: one of DiskModels; empty: none
	DurableAfter time.Duration // after which a lossy disk keeps what was not synced; 0: never
}

// DiskModels are the models of lossy disks, by name; see lossyfs.
var DiskModels = []string{string(lossyfs.Ext4), string(lossyfs.Strict)}

// disks are the lossy file systems under the nodes' data directories. A node's is mounted before its process first starts. The files
// themselves lie in a folder beside the mount, and go with the run's data.
type disks struct {
	options DiskOptions
	tag     string
	log     *slog.Logger

	mu     sync.Mutex
	byNode map[string]*lossyfs.FS
}

func newDisks(o HostsOptions) *disks {
	return &disks{options: o.Disk, tag: o.Tag, log: o.Log, byNode: make(map[string]*lossyfs.FS)}
}

// makeData makes a node's data directory, empty, on the kind of disk that the options say.
func (d *disks) makeData(node, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("make the data directory of %s: %w", node, err)
	}
	if d.options.Model == "" {
		return nil
	}
	backing := dir + ".disk"
	if err := os.MkdirAll(backing, 0o777); err != nil {
		return fmt.Errorf("make the data directory of %s: %w", node, err)
	}
	fs, err := lossyfs.Mount(lossyfs.Options{
		Backing: backing, Mountpoint: dir, Tag: d.tag,
		Model: lossyfs.Model(d.options.Model), DurableAfter: d.options.DurableAfter, Log: d.log,
	})
	if err != nil {
		return fmt.Errorf("put the data directory of %s on a lossy disk: %w", node, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byNode[node] = fs
	return nil
}

// of is a node's file system, nil if it has none.
func (d *disks) of(node string) *lossyfs.FS {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byNode[node]
}

// describe tells what the nodes' data lies on, if that is not this machine's own disk.
func (d *disks) describe(about map[string]string) {
	if d.options.Model == "" {
		return
	}
	about["disk"] = "lossy file system, model " + d.options.Model
	if d.options.DurableAfter > 0 {
		about["disk"] += fmt.Sprintf(", durable after %s", d.options.DurableAfter)
	}
}

// close unmounts all of them. No node runs any more.
func (d *disks) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, fs := range d.byNode {
		errs = append(errs, fs.Close())
	}
	clear(d.byNode)
	return errors.Join(errs...)
}

// sweepDisks detaches the mounts that a dead run has left, and says which. Nothing can be done with its data before.
func sweepDisks(tag string) (removed []string, err error) {
	mounts, err := lossyfs.Sweep(tag)
	for _, path := range mounts {
		removed = append(removed, "mount "+path)
	}
	return removed, err
}
