package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rift/nemesis/netfilter"
)

// Sweep removes what runs that are dead have left on this machine, and says what it removed. It touches nothing that does not
// carry the tag of a dead run. It is safe beside runs that go on.
func Sweep(ctx context.Context) (removed []string, err error) {
	end, err := sweepAlone(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	tags, err := deadTags()
	errs := []error{err}
	for _, tag := range tags { // before Docker, which stumbles over dead mounts
		found, err := sweepDisks(tag)
		removed, errs = append(removed, found...), append(errs, err)
	}
	if engine, err := DockerEngine(ctx); err == nil {
		defer engine.Close()
		found, err := sweepDocker(ctx, engine)
		removed, errs = append(removed, found...), append(errs, err)
	}
	for _, tag := range tags {
		found, err := sweepTag(ctx, tag)
		removed, errs = append(removed, found...), append(errs, err)
		if err == nil {
			errs = append(errs, Forget(tag))
		}
	}
	errs = append(errs, forgetUnnamed())
	return removed, errors.Join(errs...)
}

// sweepTime bounds how long a sweep waits for another one.
const sweepTime = time.Minute

// sweepAlone waits until no other sweep of this user goes on, since two would trip over each other's removals. The kernel ends the claim if this program
// dies.
func sweepAlone(ctx context.Context) (end func(), err error) {
	const again = 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	if err := makeOwn(ownersDir()); err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	dir, err := os.Open(ownersDir())
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	for {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { dir.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || !pause(ctx, again) {
			dir.Close()
			return nil, fmt.Errorf("wait for another sweep to end: %w", errors.Join(err, ctx.Err()))
		}
	}
}

// sweepTag removes what a dead run has left outside Docker.
func sweepTag(ctx context.Context, tag string) (removed []string, err error) {
	var errs []error
	if LocalAble() == nil { // else nothing of it can be there that this user could have made
		removed, err = SweepLocal(ctx, tag)
		errs = append(errs, err)
		tables, err := sweepTables(tag)
		removed, errs = append(removed, tables...), append(errs, err)
	}
	data := filepath.Join(DataRoot(), tag)
	if _, err := os.Stat(data); err == nil {
		removed = append(removed, "data "+data)
		errs = append(errs, os.RemoveAll(data))
	}
	return removed, errors.Join(errs...)
}

// sweepTables removes a dead run's firewall tables. The kernel removes them with their owner; this is for what it may have missed.
func sweepTables(tag string) (removed []string, err error) {
	tables, err := netfilter.Tables(tag)
	if err != nil {
		return nil, fmt.Errorf("list firewall tables: %w", err)
	}
	var errs []error
	for _, name := range tables {
		errs = append(errs, netfilter.Remove(name))
		removed = append(removed, "firewall table "+name)
	}
	return removed, errors.Join(errs...)
}

// tagForm is what a tag looks like, alone or as the beginning of a name.
var tagForm = regexp.MustCompile(`^` + TagPrefix + `[0-9a-f]{6}`)

// deadTags finds the tags of dead runs wherever they may have left something: in their claims, in the names of
// interfaces and namespaces, among the data folders. Claims may be lost when the machine starts anew, the others may not. Control groups go when it
// does, and may be another container's.
func deadTags() ([]string, error) {
	tags, err := DeadTags()
	if err != nil {
		return nil, err
	}
	var names []string
	if links, err := netlink.LinkList(); err == nil {
		for _, l := range links {
			names = append(names, l.Attrs().Name)
		}
	}
	if tables, err := netfilter.Tables(TagPrefix); err == nil {
		names = append(names, tables...)
	}
	for _, dir := range []string{"/run/netns", DataRoot()} {
		entries, _ := os.ReadDir(dir) // a folder that is not there holds nothing
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	for _, name := range names {
		if tag := tagForm.FindString(name); tag != "" && !Alive(tag) {
			tags = append(tags, tag)
		}
	}
	sort.Strings(tags)
	return slices.Compact(tags), nil
}
