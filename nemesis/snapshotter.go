package nemesis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Snapshotter is a cluster whose nodes can be asked to write a snapshot.
type Snapshotter interface {
	// Snapshot has a node write a snapshot, and returns when it has. The error is of a node that did not.
	Snapshot(ctx context.Context, node string) error
	// Unfinished says what is in a node's file system only while it writes a snapshot: a folder, as this machine sees it as long as the node
	// runs, and a pattern (path.Match) of names in it. False if the system does not say.
	Unfinished(node string) (folder, pattern string, ok bool)
}

// appearance waits for names to appear in a folder. It holds the folder, so that it can be looked into when the process that it was reached
// through has ended.
type appearance struct {
	folder  *os.File
	pattern string
	events  int // inotify(7)
}

// awaitIn begins to watch a folder. What is there already does not count.
func awaitIn(folder, pattern string) (*appearance, error) {
	held, err := os.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("watch for snapshots: %w", err)
	}
	events, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		held.Close()
		return nil, fmt.Errorf("watch for snapshots: %w", err)
	}
	a := &appearance{held, pattern, events}
	if _, err := unix.InotifyAddWatch(events, fmt.Sprintf("/proc/self/fd/%d", held.Fd()), unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		a.close()
		return nil, fmt.Errorf("watch %s for snapshots: %w", folder, err)
	}
	return a, nil
}

func (a *appearance) close() {
	unix.Close(a.events)
	a.folder.Close()
}

// wait returns the first matching name that appears; empty if none has when the context ends.
func (a *appearance) wait(ctx context.Context) (string, error) {
	const slice = 20 * time.Millisecond // how soon the end of the context is noticed
	buffer := make([]byte, 64*(unix.SizeofInotifyEvent+unix.NAME_MAX+1))
	for over := false; !over; {
		over = ctx.Err() != nil // looks once more after that
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(a.events), Events: unix.POLLIN}}, int(slice.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return "", fmt.Errorf("wait for a snapshot: %w", err)
		}
		if ready <= 0 {
			continue
		}
		n, err := unix.Read(a.events, buffer)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			return "", fmt.Errorf("wait for a snapshot: %w", err)
		}
		if name := a.match(buffer[:max(n, 0)]); name != "" {
			return name, nil
		}
	}
	return "", nil
}

// match is the first matching name among events.
func (a *appearance) match(events []byte) string {
	for len(events) >= unix.SizeofInotifyEvent {
		header := (*unix.InotifyEvent)(unsafe.Pointer(&events[0]))
		end := min(unix.SizeofInotifyEvent+int(header.Len), len(events))
		name := string(bytes.TrimRight(events[unix.SizeofInotifyEvent:end], "\x00"))
		if ok, _ := path.Match(a.pattern, name); ok {
			return name
		}
		events = events[end:]
	}
	return ""
}

// has says whether a name is in the folder now.
func (a *appearance) has(name string) bool {
	return unix.Faccessat(int(a.folder.Fd()), name, unix.F_OK, 0) == nil
}
