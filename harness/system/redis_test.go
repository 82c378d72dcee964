package system

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"rift/harness"
	"rift/harness/history"
)

// redisServer is a redis that is played: it takes one request a time, keeps it, and answers with the next of its answers. When it has none
// left, it closes the connection.
type redisServer struct {
	listener net.Listener
	answers  []string
	requests [][]any
}

// redisAt is a client of a redis that gives these answers. The server has ended when the test has.
func redisAt(t *testing.T, answers ...string) (*redisClient, *redisServer) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &redisServer{listener: listener, answers: answers}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serve()
	}()
	c := &redisClient{redisConnection{dialer: &net.Dialer{}, address: listener.Addr().String()}}
	t.Cleanup(func() {
		c.Close()
		listener.Close()
		<-done
	})
	return c, s
}

func (s *redisServer) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		for r := bufio.NewReader(conn); ; {
			request, err := readRedis(r, redisDepth)
			if err != nil {
				break
			}
			s.requests = append(s.requests, request.([]any))
			if len(s.answers) == 0 {
				break
			}
			next := s.answers[0]
			s.answers = s.answers[1:]
			if _, err := conn.Write([]byte(next)); err != nil {
				break
			}
		}
		conn.Close()
	}
}

func TestWhatRedisSaysIsWhatTheHistoryGets(t *testing.T) {
	op := func(f, value string) history.Op { return history.Op{F: f, Key: "k", Value: json.RawMessage(value)} }
	const closed = ""
	for _, tc := range []struct {
		name     string
		op       history.Op
		answer   string
		value    string
		outcome  history.Type
		mismatch bool
	}{
		{"a write", op("write", "7"), "+OK\r\n", "7", history.OK, false},
		{"a value", op("read", ""), "$1\r\n7\r\n", "7", history.OK, false},
		{"no value", op("read", ""), "$-1\r\n", "null", history.OK, false},
		{"a value that no workload wrote", op("read", ""), "$3\r\nx\r\n\r\n", `"x\r\n"`, history.OK, false},
		{"an add", op("add", "7"), ":1\r\n", "7", history.OK, false},
		{"a list", op("list", ""), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n", "[1,2]", history.OK, false},
		{"an empty list", op("list", ""), "*0\r\n", "[]", history.OK, false},
		{"a cas", op("cas", "[1,2]"), ":1\r\n", "[1,2]", history.OK, false},
		{"a cas that found another value", op("cas", "[1,2]"), ":0\r\n", "[1,2]", history.Fail, true},
		{"a cas that is none", op("cas", "1"), "", "", history.Fail, false},
		{"a txn", op("txn", `[["r","x",null],["append","x",2],["r","x",null]]`), "*3\r\n$-1\r\n$-1\r\n$3\r\n[2]\r\n", `[["r","x",null],["append","x",2],["r","x",[2]]]`, history.OK, false},
		{"a txn with too few answers", op("txn", `[["r","x",null]]`), "*0\r\n", "", history.Info, false},
		{"a txn that is none", op("txn", `[["fly","x",null]]`), "", "", history.Fail, false},
		{"an increment", op("increment", "3"), ":7\r\n", "7", history.OK, false},
		{"a number", op("generate", ""), ":1\r\n", "1", history.OK, false},
		{"an enqueue", op("enqueue", "3"), ":1\r\n", "3", history.OK, false},
		{"a dequeue", op("dequeue", ""), "$1\r\n3\r\n", "3", history.OK, false},
		{"a dequeue of nothing", op("dequeue", ""), "$-1\r\n", "null", history.OK, false},
		{"a drain", op("drain", ""), "*1\r\n$1\r\n3\r\n", "[3]", history.OK, false},
		{"a server that still reads its file", op("write", "7"), "-LOADING Redis is loading the dataset in memory\r\n", "", history.Fail, false},
		{"a server that cannot write its file", op("cas", "[1,2]"), "-MISCONF Errors writing to the AOF file: No space left on device\r\n", "", history.Fail, false},
		{"no memory", op("add", "7"), "-OOM command not allowed\r\n", "", history.Fail, false},
		{"a script that broke off, perhaps in the middle", op("txn", `[["append","x",2]]`), "-WRONGTYPE Operation against a key script: x\r\n", "", history.Info, false},
		{"an error without a meaning", op("write", "7"), "-ERR odd\r\n", "", history.Info, false},
		{"a broken connection", op("write", "7"), closed, "", history.Info, false},
		{"a read over a broken connection", op("read", ""), closed, "", history.Fail, false},
		{"a txn that only reads, over a broken connection", op("txn", `[["r","x",null]]`), closed, "", history.Fail, false},
		{"a txn that writes, over a broken connection", op("txn", `[["r","x",null],["w","x",1]]`), closed, "", history.Info, false},
		{"a dequeue over a broken connection", op("dequeue", ""), closed, "", history.Info, false},
		{"an answer of another kind", op("increment", "7"), "+OK\r\n", "", history.Info, false},
		{"a list that is none", op("drain", ""), ":1\r\n", "", history.Info, false},
		{"another protocol", op("write", "7"), "HTTP/1.1 400 Bad Request\r\n", "", history.Info, false},
		{"an unknown function", op("fly", ""), "", "", history.Fail, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var answers []string
			if tc.answer != closed {
				answers = []string{tc.answer}
			}
			c, _ := redisAt(t, answers...)
			value, err := c.Invoke(t.Context(), tc.op)
			got := outcomeOf(err)
			if got != tc.outcome || errors.Is(err, harness.ErrMismatch) != tc.mismatch || tc.outcome == history.OK && string(value) != tc.value {
				t.Errorf("%v, value %s, error %v; want %v and %s", got, value, err, tc.outcome, tc.value)
			}
		})
	}
}

func TestAClientOfRedisConnectsAnewAfterABreak(t *testing.T) {
	c, s := redisAt(t, "+OK\r\n", "not redis\r\n", "$1\r\n2\r\n")
	var outcomes []history.Type
	for _, op := range []history.Op{{F: "write", Key: "k", Value: json.RawMessage("1")}, {F: "write", Key: "k", Value: json.RawMessage("2")}, {F: "read", Key: "k"}} {
		_, err := c.Invoke(t.Context(), op)
		outcomes = append(outcomes, outcomeOf(err))
	}
	if want := []history.Type{history.OK, history.Info, history.OK}; !reflect.DeepEqual(outcomes, want) {
		t.Errorf("%v, want %v", outcomes, want)
	}
	if want := []any{"SET", "k", "2"}; !reflect.DeepEqual(s.requests[1], want) || len(s.requests) != 3 {
		t.Errorf("asked %v; want each once, and %v second", s.requests, want)
	}
}

// TestACallToRedisEndsWithItsContext has the server keep silent.
func TestACallToRedisEndsWithItsContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := &redisClient{redisConnection{dialer: &net.Dialer{}, address: listener.Addr().String()}}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.call(ctx, "PING"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, harness.ErrDidNotHappen) {
		t.Errorf("got %v", err)
	}
	listener.Close()
	if _, err := c.call(t.Context(), "PING"); !errors.Is(err, harness.ErrDidNotHappen) {
		t.Errorf("with nobody listening: %v", err)
	}
}

func TestRedisRefusesMoreThanOneNode(t *testing.T) {
	if most, why := (Redis{}).MostNodes(); most != 1 || why == "" {
		t.Errorf("%d nodes, %q", most, why)
	}
}

// FuzzRedis holds that no bytes make the reader panic or allocate what is not there, and that what it can read it reads again from what it
// would send.
func FuzzRedis(f *testing.F) {
	for _, seed := range []string{"+OK\r\n", "-ERR x\r\n", ":7\r\n", "$1\r\n7\r\n", "$-1\r\n", "*2\r\n:1\r\n*1\r\n+x\r\n", "*1000000\r\n", "$67108864\r\nx", "\r\n", "$1\r\n77\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		answer, err := readRedis(bufio.NewReader(bytes.NewReader(b)), redisDepth)
		text, ok := answer.(string)
		if err != nil || !ok {
			return
		}
		again, err := readRedis(bufio.NewReader(bytes.NewReader(redisRequest([]string{text}))), redisDepth)
		if err != nil || !reflect.DeepEqual(again, []any{text}) {
			t.Errorf("%q became %v, %v", text, again, err)
		}
	})
}

func TestDeepNestingIsRefused(t *testing.T) {
	_, err := readRedis(bufio.NewReader(strings.NewReader(strings.Repeat("*1\r\n", 100))), redisDepth)
	if err == nil || !strings.Contains(err.Error(), "not of redis's protocol") {
		t.Errorf("got %v", err)
	}
}
