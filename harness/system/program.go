package system

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// packages is where `make systems` unpacks the systems' packages, below the folder of rift's own program.
const packages = "systems"

// packaged finds the program of a system that is tested as its package has it, and the folder in which that package was unpacked: the
// program that was given (bin), then the one that `make systems` unpacked, then one that is installed. For the first and
// the last there is no such folder.
func packaged(system, name, bin string) (program, root string, err error) {
	if bin != "" {
		return bin, "", nil
	}
	folders, err := programFolders()
	if err != nil {
		return "", "", err
	}
	for _, folder := range folders {
		root := filepath.Join(folder, packages, system)
		if program := filepath.Join(root, "usr", "bin", name); isFile(program) {
			return program, root, nil
		}
	}
	program, err = exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", "", fmt.Errorf("the program %s is neither in bin/%s/%s nor installed: get it with `make systems`, or name one with --bin", name, packages, system)
	}
	return program, "", err
}

// programFolders are where rift's programs are: where this one is, and bin/.
func programFolders() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("look for a node's program: %w", err)
	}
	built, err := filepath.Abs("bin")
	if err != nil {
		return nil, fmt.Errorf("look for a node's program: %w", err)
	}
	return []string{filepath.Dir(self), built}, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
