package netspace

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Probe is one attempt to connect over TCP.
type Probe struct {
	From string         // path of the network namespace to connect from
	To   netip.AddrPort // IPv4
}

// Outcome is how a probe went.
type Outcome struct {
	Answered bool          // the other side answered within the time, be it with a refusal: packets go both ways
	Silent   bool          // nothing came back within the time: what a cut link looks like
	Took     time.Duration // until the answer; the whole time if it was silent
	Err      error         // why nothing was measured, if neither: no such namespace, no route, the context ended
}

// Try makes all probes at the same moment and waits for their answers, at most the given time. It returns an outcome for each.
func Try(ctx context.Context, probes []Probe, most time.Duration) []Outcome {
	outcomes := make([]Outcome, len(probes))
	waiting := make([]unix.PollFd, len(probes)) // poll(2) leaves out those with a negative Fd: they are settled
	start := time.Now()
	for i, p := range probes {
		fd, err := connect(p)
		if fd >= 0 {
			defer unix.Close(fd)
		}
		waiting[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT}
		if !errors.Is(err, unix.EINPROGRESS) {
			waiting[i].Fd = -1
			outcomes[i] = outcome(err, time.Since(start))
		}
	}
	for left := most; left > 0 && anyOpen(waiting) && ctx.Err() == nil; left = most - time.Since(start) {
		const slice = 50 * time.Millisecond // how soon the end of the context is noticed
		n, _ := unix.Poll(waiting, int(min(left, slice).Milliseconds())+1)
		for i := range waiting {
			if n > 0 && waiting[i].Fd >= 0 && waiting[i].Revents != 0 {
				outcomes[i] = outcome(pendingError(int(waiting[i].Fd)), time.Since(start))
				waiting[i].Fd = -1
			}
		}
	}
	for i := range waiting {
		if waiting[i].Fd >= 0 {
			outcomes[i] = Outcome{Silent: ctx.Err() == nil, Took: time.Since(start), Err: ctx.Err()}
		}
	}
	return outcomes
}

// connect begins a connection from inside the namespace, and returns its socket, -1 if there is none. Its error is EINPROGRESS as long as
// nothing has come back.
func connect(p Probe) (fd int, err error) {
	if !p.To.Addr().Is4() {
		return -1, fmt.Errorf("probe %s: only IPv4 can be probed", p.To)
	}
	fd = -1
	err = Inside(p.From, func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return fd, err
	}
	return fd, unix.Connect(fd, &unix.SockaddrInet4{Port: int(p.To.Port()), Addr: p.To.Addr().As4()})
}

// outcome reads how a connection ended from its error.
func outcome(err error, took time.Duration) Outcome {
	if err == nil || errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ECONNRESET) {
		return Outcome{Answered: true, Took: took}
	}
	return Outcome{Took: took, Err: err}
}

// pendingError is the error that a socket's connection ended with, nil if it was made.
func pendingError(fd int) error {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	return err
}

func anyOpen(waiting []unix.PollFd) bool {
	return slices.ContainsFunc(waiting, func(w unix.PollFd) bool { return w.Fd >= 0 })
}
