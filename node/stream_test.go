package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func testStream(t *testing.T, id, cluster string) *stream {
	t.Helper()
	return testStreamWithin(t, id, cluster, testPatience)
}

func testStreamWithin(t *testing.T, id, cluster string, timeout time.Duration) *stream {
	t.Helper()
	host := LocalHost()
	listener, err := host.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	identity, err := loadIdentity(id, cluster, raft.NewInmemStore())
	if err != nil {
		t.Fatal(err)
	}
	s := newStream(host, listener, identity, timeout, testLogger(t))
	t.Cleanup(func() { s.Close() })
	return s
}

func TestConnectionsBeginWithAHandshake(t *testing.T) {
	ctx := context.Background()
	server := testStream(t, "n1", "ours")
	address := server.Addr().String()
	for _, test := range []struct {
		client  string
		purpose purpose
		refused bool
	}{
		{"ours", forProbe, false},
		{"", forProbe, false}, // a node that belongs to no cluster yet
		{"theirs", forProbe, true},
		{"theirs", forAdmit, true},
		{"ours", forAdmit, false},
		{"theirs", forRaft, true},
	} {
		client := testStream(t, "n2", test.client)
		answer, err := client.ask(ctx, address, test.purpose)
		if errors.Is(err, errRefused) != test.refused || err != nil && !test.refused {
			t.Errorf("%+v: %v", test, err)
		}
		if answer.ID != "n1" || answer.Cluster != "ours" {
			t.Errorf("%+v: the answer is %+v", test, answer)
		}
	}
	client := testStream(t, "n2", "ours")
	accepted := make(chan net.Conn, 1)
	go func() { conn, _ := server.Accept(); accepted <- conn }()
	out, err := client.Dial(raft.ServerAddress(address), testPatience)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in := <-accepted
	if _, err := out.Write([]byte("raft")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(in, b); err != nil || string(b) != "raft" {
		t.Errorf("got %q, %v: the handshake swallowed something", b, err)
	}
	server.Close()
	if _, err := out.Read(b); err == nil {
		t.Error("an accepted connection outlives the stream")
	}
	if _, err := server.Accept(); err == nil {
		t.Error("a closed stream accepts")
	}
}

// A node without data takes no part in raft before it is admitted; the leader's first messages, which come
// before that, wait for it.
func TestConnectionsWaitForTheAdmission(t *testing.T) {
	client := testStream(t, "n2", "ours")
	never := testStreamWithin(t, "n1", "ours", 100*time.Millisecond)
	if _, err := client.Dial(raft.ServerAddress(never.Addr().String()), testPatience); err == nil {
		t.Error("a node that was not admitted takes part in raft")
	}
	server := testStream(t, "n1", "ours")
	address := server.Addr().String()
	dialled := make(chan error, 1)
	go func() {
		conn, err := client.Dial(raft.ServerAddress(address), testPatience)
		if err == nil {
			conn.Close()
		}
		dialled <- err
	}()
	if _, err := client.ask(context.Background(), address, forAdmit); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Accept(); err != nil {
		t.Error(err)
	}
	if err := <-dialled; err != nil {
		t.Error(err)
	}
}

func TestOtherProtocolsAreRefused(t *testing.T) {
	server := testStream(t, "n1", "ours")
	for _, greeting := range []string{"GET / HTTP/1.1\r\n\r\n", helloMagic + "nonsense\n", helloMagic + string(make([]byte, maxHello+1))} {
		conn, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(testPatience))
		go conn.Write([]byte(greeting))
		if b, err := io.ReadAll(conn); len(b) != 0 || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%.20q was answered with %q, %v", greeting, b, err)
		}
		conn.Close()
	}
}

func TestTheClusterIDIsKept(t *testing.T) {
	disk := raft.NewInmemStore()
	first, err := loadIdentity("n1", "", disk)
	if err != nil || first.cluster() != "" {
		t.Fatalf("%q, %v", first.cluster(), err)
	}
	if err := first.learn("ours"); err != nil {
		t.Fatal(err)
	}
	if err := first.learn("theirs"); err == nil || first.cluster() != "ours" {
		t.Errorf("the node changed to cluster %q", first.cluster())
	}
	if again, err := loadIdentity("n1", "ours", disk); err != nil || again.cluster() != "ours" {
		t.Errorf("%v", err)
	}
	if _, err := loadIdentity("n1", "theirs", disk); err == nil {
		t.Error("another --cluster-id was accepted")
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte(helloMagic + `{"purpose":"raft","cluster":"c","id":"n1"}` + "\nrest"))
	f.Add([]byte(helloMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		rest := bytes.NewReader(b)
		var h hello
		if readLine(rest, &h) != nil {
			return
		}
		var again hello
		var line bytes.Buffer
		if err := errors.Join(writeLine(&line, h), readLine(&line, &again)); err != nil || again != h {
			t.Errorf("%+v became %+v, %v", h, again, err)
		}
		if end := bytes.IndexByte(b[len(helloMagic):], '\n') + 1; rest.Len() != len(b)-len(helloMagic)-end {
			t.Errorf("%d bytes are left of %q", rest.Len(), b)
		}
	})
}
