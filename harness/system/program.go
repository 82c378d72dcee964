package system

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// packages is where `make systems` unpacks the systems' packages, below the folder of rift's own program.
const packages = "systems"

// packaged finds the program of a system that is tested as its package has it: the one that was given (bin), the one that `make
// systems` unpacked, or one that is installed. Root is the folder in which its package lies, whose libraries it gets.
func packaged(system, name, bin string) (program, root string, err error) {
	program = bin
	if program == "" {
		if program, err = unpacked(system, name); err != nil {
			return "", "", err
		}
	}
	if program, err = filepath.Abs(program); err != nil {
		return "", "", fmt.Errorf("look for a node's program: %w", err)
	}
	root, inPackage := strings.CutSuffix(filepath.Dir(program), filepath.Join("/", packagedPrograms))
	if !inPackage {
		root = ""
	}
	return program, root, nil
}

// packagedPrograms is where a package has its programs.
const packagedPrograms = "usr/bin"

func unpacked(system, name string) (string, error) {
	folders, err := programFolders()
	if err != nil {
		return "", err
	}
	for _, folder := range folders {
		if program := filepath.Join(folder, packages, system, packagedPrograms, name); isFile(program) {
			return program, nil
		}
	}
	program, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("the program %s is neither in bin/%s/%s nor installed: get it with `make systems`, or name one with --bin", name, packages, system)
	}
	return program, err
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
