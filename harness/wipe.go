package harness

import (
	"errors"
	"os"
	"path/filepath"
)

// emptyFolder removes everything in a folder, for good, and leaves the folder: a container or a process may have it by its inode, and on a
// lossy disk a power failure must not bring back what was in it.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	f, err := os.Open(dir)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	return errors.Join(append(errs, err)...)
}
