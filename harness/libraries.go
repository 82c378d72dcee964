package harness

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// libraries are what a dynamic program needs besides itself: its loader and its shared libraries, with theirs. It maps the path
// under which the program looks for each to the path that it has on this machine. A static program needs none.
type libraries map[string]string

// loaderConfig is where the machine's loader is told in which folders libraries are.
const loaderConfig = "/etc/ld.so.conf"

// usualFolders are where a loader looks for libraries without being told.
var usualFolders = []string{"/lib64", "/usr/lib64", "/lib", "/usr/lib"}

// findLibraries finds the libraries of the program to be launched. One that comes with an image of files brings its own.
func (l Launch) findLibraries() (libraries, error) {
	if strings.HasPrefix(l.Program, imagePrefix) {
		return nil, nil
	}
	return findLibraries(l.Program, l.Root)
}

// findLibraries goes through the libraries that a program names, and that these name. It looks into the folders that the naming file
// gives, then into an unpacked package (root; "" for none), then on this machine. The loader is the machine's own.
func findLibraries(program, root string) (libraries, error) {
	f, err := elf.Open(program)
	if err != nil {
		return nil, fmt.Errorf("program: %s is no program of this machine: %w", program, err)
	}
	defer f.Close()
	loader, err := loaderOf(f)
	if err != nil {
		return nil, fmt.Errorf("program: %s: %w", program, err)
	}
	if loader == "" {
		return nil, nil
	}
	if _, err := os.Stat(loader); err != nil {
		return nil, fmt.Errorf("program: %s needs the loader %s: %w", program, loader, err)
	}
	folders, err := libraryFolders()
	if err != nil {
		return nil, err
	}
	s := librarySearch{
		root: root, folders: folders, class: f.Class, machine: f.Machine,
		found: libraries{loader: loader}, done: map[string]bool{filepath.Base(loader): true},
	}
	if err := s.needs(f, program); err != nil {
		return nil, fmt.Errorf("program: %s: %w", program, err)
	}
	return s.found, nil
}

// loaderOf is the path of the loader that a program asks for; empty if it is static.
func loaderOf(f *elf.File) (string, error) {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		path := make([]byte, p.Filesz)
		if _, err := p.ReadAt(path, 0); err != nil {
			return "", fmt.Errorf("read which loader it asks for: %w", err)
		}
		return string(bytes.TrimRight(path, "\x00")), nil
	}
	return "", nil
}

// librarySearch is a walk through what a program needs.
type librarySearch struct {
	root    string
	folders []string
	class   elf.Class
	machine elf.Machine
	found   libraries
	done    map[string]bool // names of libraries that were looked for
}

// needs finds what a file names, and what that names in turn.
func (s *librarySearch) needs(f *elf.File, path string) error {
	names, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("read which libraries %s needs: %w", path, err)
	}
	own, err := ownFolders(f, path)
	if err != nil {
		return err
	}
	for _, name := range names {
		if s.done[name] {
			continue
		}
		s.done[name] = true
		there, here, ok := s.find(name, own)
		if !ok {
			return fmt.Errorf("%s, which %s needs, is neither in the package nor on this machine; install it, or the program's package with it", name, path)
		}
		s.found[there] = here
		if err := s.needsOf(here); err != nil {
			return err
		}
	}
	return nil
}

func (s *librarySearch) needsOf(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.needs(f, path)
}

// find looks for a library: there is where a loader finds it, here is where it is now.
func (s *librarySearch) find(name string, own []string) (there, here string, ok bool) {
	for _, folder := range own {
		if path := filepath.Join(folder, name); s.fits(path) {
			return path, path, true
		}
	}
	if s.root != "" {
		for _, folder := range s.folders {
			if path := filepath.Join(s.root, folder, name); s.fits(path) {
				return filepath.Join(folder, name), path, true
			}
		}
	}
	for _, folder := range s.folders {
		if path := filepath.Join(folder, name); s.fits(path) {
			return path, path, true
		}
	}
	return "", "", false
}

// fits says whether a file is a library of the program's kind: several architectures may be installed side by side.
func (s *librarySearch) fits(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return f.Class == s.class && f.Machine == s.machine
}

// ownFolders are where a file itself says that its libraries are.
func ownFolders(f *elf.File, path string) ([]string, error) {
	var folders []string
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		lists, err := f.DynString(tag)
		if err != nil {
			return nil, fmt.Errorf("read where the libraries of %s are: %w", path, err)
		}
		for _, list := range lists {
			for _, folder := range filepath.SplitList(list) {
				folder = strings.NewReplacer("$ORIGIN", filepath.Dir(path), "${ORIGIN}", filepath.Dir(path)).Replace(folder)
				folders = append(folders, folder)
			}
		}
	}
	return folders, nil
}

// libraryFolders are where this machine's loader looks: what it is told first, then the usual places.
func libraryFolders() ([]string, error) {
	told, err := toldFolders(loaderConfig)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read where this machine's libraries are: %w", err)
	}
	return append(told, usualFolders...), nil
}

// toldFolders reads a loader's configuration: a folder a line, "include PATTERN" for more of it, # for the rest of a line.
func toldFolders(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var folders []string
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "include":
			pattern := fields[1]
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(path), pattern)
			}
			more, err := filepath.Glob(pattern)
			if err != nil {
				return nil, fmt.Errorf("%s: %q: %w", path, line, err)
			}
			for _, file := range more {
				told, err := toldFolders(file)
				if err != nil {
					return nil, err
				}
				folders = append(folders, told...)
			}
		case len(fields) == 1 && filepath.IsAbs(fields[0]):
			folders = append(folders, fields[0])
		}
	}
	return folders, nil
}

// inImage is the environment that has a loader in an image find the libraries, which has no configuration there; nil for a static program.
func (l libraries) inImage() []string {
	return librarySearchPath(slices.Collect(maps.Keys(l)))
}

// here is the environment that has this machine's loader find those that it does not find by itself; nil if there are none.
func (l libraries) here() []string {
	var unpacked []string
	for there, here := range l {
		if there != here {
			unpacked = append(unpacked, here)
		}
	}
	return librarySearchPath(unpacked)
}

func librarySearchPath(files []string) []string {
	if len(files) == 0 {
		return nil
	}
	folders := make(map[string]bool)
	for _, file := range files {
		folders[filepath.Dir(file)] = true
	}
	return []string{"LD_LIBRARY_PATH=" + strings.Join(slices.Sorted(maps.Keys(folders)), string(filepath.ListSeparator))}
}
