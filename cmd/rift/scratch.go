package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"rift/harness"
	"rift/harness/history"
)

// scratch is what a cluster that belongs to no run is brought up from. What done removes, a sweep would remove as well.
func (a *app) scratch(ctx context.Context, cluster string, s harness.System, t history.Test) (spec harness.Spec, done func() error, err error) {
	owner, err := harness.Claim()
	if err != nil {
		return harness.Spec{}, nil, err
	}
	data := filepath.Join(harness.DataRoot(), owner.Tag)
	dir := filepath.Join(data, "logs")
	done = func() error { return errors.Join(os.RemoveAll(data), owner.Release()) }
	if err := os.MkdirAll(filepath.Join(dir, history.NodesDir), 0o755); err != nil {
		return harness.Spec{}, nil, errors.Join(err, done())
	}
	hosts, err := chooseHosts(ctx, cluster, harness.HostsOptions{
		Tag: owner.Tag, Dir: dir, Data: data, Log: a.logger(), Disk: harness.DiskOptions{Model: t.Disk, DurableAfter: time.Duration(t.DurableAfter)},
	})
	if err != nil {
		return harness.Spec{}, nil, errors.Join(err, done())
	}
	return harness.Spec{Test: t, System: s, Hosts: hosts, Tag: owner.Tag, Dir: dir, Log: a.logger()}, done, nil
}
