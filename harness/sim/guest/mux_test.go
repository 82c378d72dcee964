package guest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// wire is a device: frames that are put into it are read, and frames that are written come out at sent.
type wire struct {
	io.Reader
	in   io.Writer
	sent chan []byte
}

func newWire() *wire {
	r, w := io.Pipe()
	return &wire{Reader: r, in: w, sent: make(chan []byte, 100)}
}

func (w *wire) Write(b []byte) (int, error) {
	w.sent <- append([]byte{}, b...)
	return len(b), nil
}

// put hands the program a frame.
func (w *wire) put(t *testing.T, kind byte, id uint32, payload string) {
	t.Helper()
	if _, err := w.in.Write(AppendFrame(nil, kind, id, []byte(payload))); err != nil {
		t.Fatal(err)
	}
}

// next is the next frame that the program sent, which must be of a kind.
func (w *wire) next(t *testing.T, want byte) (id uint32, payload string) {
	t.Helper()
	kind, id, b := ParseFrame(<-w.sent)
	if kind != want {
		t.Fatalf("frame %c was sent, %c wanted", kind, want)
	}
	return id, string(b)
}

// dialled is a connection that was made, and its number.
func dialled(t *testing.T, m *mux, w *wire) (net.Conn, uint32) {
	t.Helper()
	made := make(chan net.Conn)
	go func() {
		c, err := m.dial(t.Context(), "10.0.0.2:1")
		if err != nil {
			t.Error(err)
		}
		made <- c
	}()
	id, to := w.next(t, FrameDial)
	if to != "10.0.0.2:1" {
		t.Errorf("dialled %s", to)
	}
	w.put(t, FrameOpen, id, "10.0.0.1:5")
	return <-made, id
}

func TestAConnectionCarriesBytesBothWays(t *testing.T) {
	w := newWire()
	c, id := dialled(t, newMux(w), w)
	if c.LocalAddr().String() != "10.0.0.1:5" || c.RemoteAddr().String() != "10.0.0.2:1" || c.LocalAddr().Network() != "tcp" {
		t.Errorf("from %s to %s", c.LocalAddr(), c.RemoteAddr())
	}
	if _, err := c.Write([]byte("ask")); err != nil {
		t.Fatal(err)
	}
	if got, payload := w.next(t, FrameData); got != id || payload != "ask" {
		t.Errorf("connection %d carried %q", got, payload)
	}
	w.put(t, FrameData, id, "ans")
	w.put(t, FrameData, id, "wer")
	w.put(t, FrameEnd, id, "")
	if b, err := io.ReadAll(c); string(b) != "answer" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if got, _ := w.next(t, FrameEnd); got != id {
		t.Errorf("connection %d was closed, not %d", got, id)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) || !errors.Is(c.Close(), net.ErrClosed) {
		t.Errorf("%v from a connection that is closed", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v from a connection that is closed", err)
	}
}

func TestAConnectionIsLost(t *testing.T) {
	w := newWire()
	m := newMux(w)
	c, id := dialled(t, m, w)
	w.put(t, FrameReset, id, "")
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, a reset wanted", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("%v, a broken pipe wanted", err)
	}
	failed := make(chan error)
	go func() {
		_, err := m.dial(t.Context(), "10.0.0.3:1")
		failed <- err
	}()
	id, _ = w.next(t, FrameDial)
	w.put(t, FrameRefused, id, "")
	if err := <-failed; !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v, a refusal wanted", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.dial(ctx, "10.0.0.3:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v from a dial whose context has ended", err)
	}
}

func TestDeadlinesEndWaiting(t *testing.T) {
	w := newWire()
	c, _ := dialled(t, newMux(w), w)
	waits := make(chan error)
	go func() {
		_, err := c.Read(make([]byte, 1))
		waits <- err
	}()
	if err := errors.Join(c.SetWriteDeadline(time.Now().Add(time.Hour)), c.SetReadDeadline(time.Now().Add(time.Millisecond))); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, the deadline wanted", err)
	}
}

func TestAListenerAcceptsUntilItIsClosed(t *testing.T) {
	w := newWire()
	m := newMux(w)
	l, err := m.listen("10.0.0.1:7")
	if err != nil {
		t.Fatal(err)
	}
	if _, at := w.next(t, FrameListen); at != "10.0.0.1:7" || l.Addr().String() != at {
		t.Errorf("listens at %s", at)
	}
	if _, err := m.listen("10.0.0.1:7"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v from a second listener", err)
	}
	w.put(t, FrameAccept, 1<<31, "10.0.0.1:7 10.0.0.9:5")
	c, err := l.Accept()
	if err != nil || c.RemoteAddr().String() != "10.0.0.9:5" {
		t.Errorf("%v, %v", c, err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v from a listener that is closed", err)
	}
	w.put(t, FrameAccept, 1<<31+1, "10.0.0.1:7 10.0.0.9:6")
	if id, _ := w.next(t, FrameReset); id != 1<<31+1 {
		t.Errorf("connection %d was reset", id)
	}
	w.put(t, FrameStop, 0, "")
	<-m.stop
}

func TestALogKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	l, err := OpenLog(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); i <= 5; i++ {
		if err := l.StoreLog(&raft.Log{Index: i, Term: 1, Data: []byte{byte(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.DeleteRange(1, 2), l.DeleteRange(5, 5), l.Set([]byte("vote"), []byte("n1")), l.SetUint64([]byte("term"), 7), l.Sync(), l.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "raft.log")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A tail that was being written when the power failed was never acknowledged.
	if err := os.WriteFile(path, append(whole, 9, 0, 0, 0, 1, 2), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err = OpenLog(dir, true); err != nil {
		t.Fatal(err)
	}
	first, _ := l.FirstIndex()
	last, _ := l.LastIndex()
	vote, _ := l.Get([]byte("vote"))
	term, _ := l.GetUint64([]byte("term"))
	var e raft.Log
	if err := l.GetLog(4, &e); err != nil || first != 3 || last != 4 || string(vote) != "n1" || term != 7 || e.Data[0] != 4 {
		t.Errorf("entries %d to %d, vote %q, term %d, %+v, %v", first, last, vote, term, e, err)
	}
	if err := l.GetLog(2, &e); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("%v for an entry that was removed", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
