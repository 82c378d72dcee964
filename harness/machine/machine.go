// Package machine looks at what runs put on a machine and could leave behind there: firewall tables, packet queues, network devices and namespaces,
// firewall rules, mounts, cgroups, processes, and files of Rift's own.
//
// The one idea behind it is that it asks the kernel, and not the parts of Rift that made these things, which may be wrong about them. So it can tell
// what a fault that did not heal has left, and a test can compare the machine before a run that was killed with the machine after the sweep.
package machine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Thing is one thing that is on the machine.
type Thing struct {
	Kind   Kind
	Name   string // as the kernel has it: of a table, a device, the path of a mount
	Where  string // the network namespace it is in, if that is not this program's own
	Detail string // what else tells whose it is: the source of a mount, the command of a process
	Remedy string // the command that takes it away
}

// Kind is the kind of a thing.
type Kind string

// The kinds of things that are looked for.
const (
	Table     Kind = "firewall table"
	Queue     Kind = "packet queue"
	Rule      Kind = "firewall rule"
	Device    Kind = "network device"
	Namespace Kind = "network namespace"
	Mount     Kind = "mount"
	Cgroup    Kind = "cgroup"
	Process   Kind = "process"
	Stopped   Kind = "stopped process"
	Folder    Kind = "folder"
)

// OfFault says whether the thing is of a kind that is there only while a fault is in. The names of network namespaces are mounts as well, but of a cluster.
func (t Thing) OfFault() bool {
	switch t.Kind {
	case Table, Queue, Cgroup, Stopped:
		return true
	case Mount:
		return !strings.HasPrefix(t.Detail, "nsfs ")
	}
	return false
}

// String is the thing and where it is.
func (t Thing) String() string {
	s := fmt.Sprintf("%s %s", t.Kind, t.Name)
	if t.Detail != "" {
		s += " (" + t.Detail + ")"
	}
	if t.Where != "" {
		s += " in network namespace " + t.Where
	}
	return s
}

// Look lists what is on the machine, sorted, as far as this program may see it. Folders are those in which Rift keeps files of its own; what is in
// them is listed. What cannot be looked at makes an error beside the rest.
func Look(ctx context.Context, folders ...string) ([]Thing, error) {
	var (
		all  []Thing
		errs []error
	)
	for _, look := range []func() ([]Thing, error){
		networks,
		func() ([]Thing, error) { return rules(ctx) },
		mounts, cgroups, processes,
		func() ([]Thing, error) { return files(folders) },
	} {
		found, err := look()
		all, errs = append(all, found...), append(errs, err)
	}
	slices.SortFunc(all, compare)
	return slices.Compact(all), errors.Join(errs...)
}

// Of are the things that carry a tag, in their own name or in that of where they are.
func Of(things []Thing, tag string) []Thing {
	return slices.DeleteFunc(slices.Clone(things), func(t Thing) bool {
		return !strings.Contains(t.Name+" "+t.Where+" "+t.Detail, tag)
	})
}

// New are the things that are there after and were not before.
func New(before, after []Thing) []Thing {
	was := make(map[Thing]bool)
	for _, t := range before {
		was[t.bare()] = true
	}
	return slices.DeleteFunc(slices.Clone(after), func(t Thing) bool { return was[t.bare()] })
}

// bare is the thing without what is only said of it.
func (t Thing) bare() Thing {
	t.Remedy = ""
	return t
}

func compare(a, b Thing) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Where, b.Where), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Detail, b.Detail))
}
