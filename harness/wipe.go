package harness

import (
	"errors"
	"os"
	"path/filepath"
)

// emptyFolder removes everything in a folder, and leaves the folder: a container or a process may have it by its inode.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}
