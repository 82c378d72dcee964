package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// A config is a cluster on this machine.
type config struct {
	dataDir  string // absolute
	binPath  string // absolute: the node's program, or the folder in which it is called "node"
	leader   string // the alias of the node that founds the cluster; later, any node may lead
	replicas []replica
}

// A replica is one node of the cluster.
type replica struct {
	alias string
	http  string // IP:port for clients
	rpc   string // IP:port for the other nodes
	dir   string // absolute: the node's own folder below the data directory
}

func (r replica) pidFile() string { return filepath.Join(r.dir, "node.pid") }
func (r replica) logFile() string { return filepath.Join(r.dir, "node.log") }
func (r replica) data() string    { return filepath.Join(r.dir, "data") }

// hasData says whether the node has ever kept anything.
func (r replica) hasData() bool {
	entries, err := os.ReadDir(r.data())
	return err == nil && len(entries) > 0
}

// maxConfig bounds the bytes of a configuration, which has about a hundred a node.
const maxConfig = 1 << 20

// loadConfig reads and checks the file. Its error has a line for each mistake; its paths are relative
// to the working directory, as in the store that the format comes from.
func loadConfig(path string) (*config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usagef("config: %v", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, usagef("config: %v", err)
	}
	if len(data) > maxConfig {
		return nil, usagef("config: %s is longer than %d bytes", path, maxConfig)
	}
	c, err := parseConfig(path, data)
	if err != nil {
		return nil, codedError{err, exitUsage}
	}
	if err := c.locate(); err != nil {
		return nil, err
	}
	return c, nil
}

// locate makes all paths absolute: the nodes run in folders of their own.
func (c *config) locate() error {
	data, errData := filepath.Abs(c.dataDir)
	bin, errBin := filepath.Abs(c.binPath)
	if err := errors.Join(errData, errBin); err != nil {
		return fmt.Errorf("make the paths of the configuration absolute: %w", err)
	}
	c.dataDir, c.binPath = data, bin
	for i := range c.replicas {
		c.replicas[i].dir = filepath.Join(data, c.replicas[i].alias)
	}
	return nil
}

// program is the node's program.
func (c *config) program() (string, error) {
	path := c.binPath
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		path = filepath.Join(path, "node")
		info, err = os.Stat(path)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", usagef("bin_path: there is no %s; `go build -o %s ./cmd/node` makes it", path, path)
	case err != nil:
		return "", usagef("bin_path: %v", err)
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return "", usagef("bin_path: %s is not a program", path)
	}
	return path, nil
}

func (c *config) aliases() []string {
	var names []string
	for _, r := range c.replicas {
		names = append(names, r.alias)
	}
	return names
}

// founder is the node that founds the cluster.
func (c *config) founder() replica {
	return c.replicas[slices.Index(c.aliases(), c.leader)]
}

// choose returns the named nodes in the order of the configuration, or all if none is named.
func (c *config) choose(names []string) ([]replica, error) {
	for _, name := range names {
		if !slices.Contains(c.aliases(), name) {
			return nil, usagef("alias: %q given%s", name, nearest(name, c.aliases()))
		}
	}
	return slices.DeleteFunc(slices.Clone(c.replicas), func(r replica) bool {
		return len(names) > 0 && !slices.Contains(names, r.alias)
	}), nil
}
