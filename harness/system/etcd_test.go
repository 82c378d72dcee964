package system

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"rift/harness"
	"rift/harness/history"
)

// etcdAt is a client of an etcd that is played by handle.
func etcdAt(t *testing.T, handle http.HandlerFunc) *etcdClient {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	c := newEtcdClient(harness.Node{Name: "n1", IP: netip.MustParseAddr("127.0.0.1")}, history.Test{})
	c.base = server.URL
	t.Cleanup(func() { c.Close() })
	return c
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

// gatewayError answers as the gateway does when gRPC answered an error.
func gatewayError(status, code int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":%q,"message":%q,"code":%d}`, message, message, code)
	}
}

func in64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// outcomeOf is what the driver makes of a client's answer.
func outcomeOf(err error) history.Type {
	switch {
	case err == nil:
		return history.OK
	case errors.Is(err, harness.ErrDidNotHappen):
		return history.Fail
	}
	return history.Info
}

func TestWhatEtcdSaysIsWhatTheHistoryGets(t *testing.T) {
	write := history.Op{F: "write", Key: "r1", Value: json.RawMessage("7")}
	add := history.Op{F: "add", Value: json.RawMessage("7")}
	cas := history.Op{F: "cas", Key: "r1", Value: json.RawMessage("[1,2]")}
	read := history.Op{F: "read", Key: "r1"}
	list := history.Op{F: "list"}
	txn := history.Op{F: "txn", Value: json.RawMessage(`[["r","x",null]]`)}
	for _, tc := range []struct {
		name     string
		op       history.Op
		etcd     http.HandlerFunc
		value    string
		outcome  history.Type
		mismatch bool
	}{
		{"a write", write, answer(`{"header":{"revision":"2"}}`), "7", history.OK, false},
		{"an add", add, answer(`{"header":{"revision":"2"}}`), "7", history.OK, false},
		{"a value", read, answer(`{"header":{"revision":"2"},"kvs":[{"value":"` + in64("7") + `"}],"count":"1"}`), "7", history.OK, false},
		{"no value", read, answer(`{"header":{"revision":"2"}}`), "null", history.OK, false},
		{"a value that no workload wrote", read, answer(`{"kvs":[{"value":"` + in64("x y") + `"}]}`), `"x y"`, history.OK, false},
		{"an empty list", list, answer(`{"header":{"revision":"2"}}`), "[]", history.OK, false},
		{"a cas", cas, answer(`{"succeeded":true,"responses":[{"response_put":{}}]}`), "[1,2]", history.OK, false},
		{"a cas that found another value", cas, answer(`{"header":{"revision":"2"}}`), "[1,2]", history.Fail, true},
		{"a cas that is none", history.Op{F: "cas", Value: json.RawMessage("1")}, answer(`{}`), "", history.Fail, false},
		{"a txn that is none", history.Op{F: "txn", Value: json.RawMessage("[]")}, answer(`{}`), "", history.Fail, false},
		{"a txn with too few answers", history.Op{F: "cas", Value: json.RawMessage("[1,2]")}, answer(`{"succeeded":true}`), "", history.Info, false},
		{"no leader", write, gatewayError(503, 14, "etcdserver: no leader"), "", history.Fail, false},
		{"a proposal that raft did not take", write, gatewayError(500, 2, "raft proposal dropped"), "", history.Fail, false},
		{"too many requests", write, gatewayError(429, 8, "etcdserver: too many requests"), "", history.Fail, false},
		{"an argument that is refused", write, gatewayError(400, 3, "etcdserver: key is not provided"), "", history.Fail, false},
		{"a time-out", write, gatewayError(503, 14, "etcdserver: request timed out"), "", history.Info, false},
		{"a time-out because of the leader", write, gatewayError(503, 14, "etcdserver: request timed out, possibly due to previous leader failure"), "", history.Info, false},
		{"a leader that changed", cas, gatewayError(503, 14, "etcdserver: leader changed"), "", history.Info, false},
		{"no space, which may be found too late", write, gatewayError(429, 8, "etcdserver: mvcc: database space exceeded"), "", history.Info, false},
		{"a server that stops", add, gatewayError(503, 14, "etcdserver: server stopped"), "", history.Info, false},
		{"a gateway that cannot reach its server", write, gatewayError(503, 14, "transport is closing"), "", history.Info, false},
		{"a read, which changes nothing", read, gatewayError(503, 14, "etcdserver: request timed out"), "", history.Fail, false},
		{"a list, which changes nothing", list, gatewayError(503, 14, "etcdserver: leader changed"), "", history.Fail, false},
		{"a txn that only reads", txn, gatewayError(503, 14, "etcdserver: request timed out"), "", history.Fail, false},
		{"an error that is not etcd's", write, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad gateway", http.StatusBadGateway) }, "", history.Info, false},
		{"a broken connection", write, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", history.Info, false},
		{"half an answer", cas, answer(`{"succeeded":`), "", history.Info, false},
		{"an unknown function", history.Op{F: "fly"}, answer(`{}`), "", history.Fail, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			value, err := etcdAt(t, tc.etcd).Invoke(t.Context(), tc.op)
			got := outcomeOf(err)
			if got != tc.outcome || errors.Is(err, harness.ErrMismatch) != tc.mismatch || tc.outcome == history.OK && string(value) != tc.value {
				t.Errorf("%v, value %s, error %v; want %v and %s", got, value, err, tc.outcome, tc.value)
			}
		})
	}
}

func TestANodeThatIsDownDidNothing(t *testing.T) {
	c := etcdAt(t, answer(`{}`))
	c.base = "http://127.0.0.1:1" // where nobody listens
	if err := c.put(t.Context(), "k", []byte("1")); !errors.Is(err, harness.ErrDidNotHappen) {
		t.Errorf("got %v", err)
	}
}

// asked is a request as it reached the server.
type asked struct{ path, body, hasLeader string }

// TestWhatEtcdIsAsked holds the requests against the gateway's form.
func TestWhatEtcdIsAsked(t *testing.T) {
	var seen []asked
	replies := []string{}
	c := etcdAt(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen = append(seen, asked{r.Method + r.URL.Path, string(body), r.Header.Get("Grpc-Metadata-hasleader")})
		reply := `{"succeeded":true,"responses":[{}]}`
		if len(replies) > 0 {
			reply, replies = replies[0], replies[1:]
		}
		fmt.Fprint(w, reply)
	})
	for _, tc := range []struct {
		op      history.Op
		replies []string
		want    []asked
	}{
		{
			history.Op{F: "write", Key: "k", Value: json.RawMessage("7")},
			nil,
			[]asked{{"POST/v3/kv/put", fmt.Sprintf(`{"key":%q,"value":%q}`, in64("k"), in64("7")), "true"}},
		},
		{
			history.Op{F: "read", Key: "k"},
			nil,
			[]asked{{"POST/v3/kv/range", fmt.Sprintf(`{"key":%q}`, in64("k")), "true"}},
		},
		{
			history.Op{F: "cas", Key: "k", Value: json.RawMessage("[1,2]")},
			nil,
			[]asked{{"POST/v3/kv/txn", fmt.Sprintf(`{"compare":[{"key":%q,"target":"VALUE","value":%q}],"success":[{"request_put":{"key":%q,"value":%q}}]}`,
				in64("k"), in64("1"), in64("k"), in64("2")), "true"}},
		},
		{
			history.Op{F: "cas", Key: "k", Value: json.RawMessage("[null,2]")},
			nil,
			[]asked{{"POST/v3/kv/txn", fmt.Sprintf(`{"compare":[{"key":%q,"target":"MOD"}],"success":[{"request_put":{"key":%q,"value":%q}}]}`,
				in64("k"), in64("k"), in64("2")), "true"}},
		},
		{
			history.Op{F: "list"},
			[]string{fmt.Sprintf(`{"header":{"revision":"9"},"kvs":[{"key":%q,"value":%q}],"more":true}`, in64("set/1"), in64("1")), `{}`},
			[]asked{
				{"POST/v3/kv/range", fmt.Sprintf(`{"key":%q,"range_end":%q,"limit":"10000"}`, in64("set/"), in64("set0")), "true"},
				{"POST/v3/kv/range", fmt.Sprintf(`{"key":%q,"range_end":%q,"limit":"10000","revision":"9"}`, in64("set/1\x00"), in64("set0")), "true"},
			},
		},
	} {
		seen, replies = nil, tc.replies
		if _, err := c.Invoke(t.Context(), tc.op); err != nil {
			t.Errorf("%s: %v", tc.op.F, err)
		}
		if !reflect.DeepEqual(seen, tc.want) {
			t.Errorf("%s: asked\n%v, want\n%v", tc.op.F, seen, tc.want)
		}
	}
	c.serializable, seen = true, nil
	if _, err := c.Invoke(t.Context(), history.Op{F: "read", Key: "k"}); err != nil || !strings.Contains(seen[0].body, `"serializable":true`) {
		t.Errorf("a stale read: asked %v, %v", seen, err)
	}
}

// TestEtcdsTransactionsDependOnWhatTheyRead has a key change between a transaction's two requests.
func TestEtcdsTransactionsDependOnWhatTheyRead(t *testing.T) {
	for meddled, want := range map[bool]history.Type{false: history.OK, true: history.Fail} {
		requests := 0
		c := etcdAt(t, func(w http.ResponseWriter, r *http.Request) {
			var got etcdTxn
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
				t.Error(err)
			}
			requests++
			if requests == 1 {
				fmt.Fprintf(w, `{"succeeded":true,"responses":[{"response_range":{"kvs":[{"key":%q,"value":%q,"mod_revision":"5"}]}},{"response_range":{}}]}`, in64("x"), in64("[1]"))
				return
			}
			if len(got.Compare) != 2 || got.Compare[0].Modified != 5 || got.Compare[1].Modified != 0 || len(got.Then) != 1 || string(got.Then[0].Put.Value) != "[1,2,3]" {
				t.Errorf("committed %+v", got)
			}
			if meddled {
				fmt.Fprint(w, `{}`)
				return
			}
			fmt.Fprint(w, `{"succeeded":true,"responses":[{"response_put":{}}]}`)
		})
		op := history.Op{F: "txn", Value: json.RawMessage(`[["append","x",2],["r","y",null],["append","x",3],["r","x",null]]`)}
		value, err := c.Invoke(t.Context(), op)
		if outcomeOf(err) != want || errors.Is(err, harness.ErrMismatch) != meddled || requests != 2 {
			t.Errorf("meddled with %t: %v after %d requests", meddled, err, requests)
		}
		if !meddled && string(value) != `[["append","x",2],["r","y",null],["append","x",3],["r","x",[1,2,3]]]` {
			t.Errorf("got %s", value)
		}
	}
}

func TestWhatEtcdBelievesHasNames(t *testing.T) {
	status := `{"header":{"member_id":"1","revision":"8"},"version":"3.4.23","leader":"%d","raftIndex":"12","raftTerm":"3","raftAppliedIndex":"11"}`
	for leader, want := range map[int]history.View{
		1: {Node: "n1", State: harness.StateLeader, Leader: "n1", Term: 3, Commit: 12, Applied: 11, Revision: 8, Voters: []string{"n1", "n2"}},
		2: {Node: "n1", State: "follower", Leader: "n2", Term: 3, Commit: 12, Applied: 11, Revision: 8, Voters: []string{"n1", "n2"}},
		0: {Node: "n1", State: "candidate", Term: 3, Commit: 12, Applied: 11, Revision: 8, Voters: []string{"n1", "n2"}},
	} {
		c := etcdAt(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/v3/maintenance/status":
				fmt.Fprintf(w, status, leader)
			case "/v3/cluster/member/list": // as etcd 3.5 has it
				fmt.Fprint(w, `{"members":[{"ID":"2","name":"n2"},{"ID":"1","name":"n1"},{"ID":"3","name":"n3","isLearner":true}]}`)
			default:
				http.NotFound(w, r)
			}
		})
		if got, err := c.view(t.Context(), "n1"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
}
