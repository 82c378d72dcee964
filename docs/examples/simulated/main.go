//go:build wasip1

// Simulated is somebody's own state machine on hashicorp/raft, a map of keys to values, as a program that lives in Rift's simulated world. It speaks as much of
// the reference node's HTTP as the workload register needs, so that Rift's client can talk to it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"rift/harness/sim/guest"
)

// registers is the state machine. A command is a key, a zero and a value.
type registers map[string]string

func (m registers) Apply(l *raft.Log) any {
	key, value, _ := strings.Cut(string(l.Data), "\x00")
	m[key] = value
	return nil
}
func (m registers) Snapshot() (raft.FSMSnapshot, error) { return nil, fmt.Errorf("none is kept") }
func (m registers) Restore(io.ReadCloser) error         { return fmt.Errorf("none is kept") }

// stream carries raft's connections.
type stream struct{ net.Listener }

func (stream) Dial(to raft.ServerAddress, most time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	return guest.Dial(ctx, string(to))
}

func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return v
}

// refuse answers with an error; a definite one changed nothing.
func refuse(w http.ResponseWriter, status int, code string, definite bool) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": code, "definite": definite}})
}

// main takes its name, and the names and addresses of all nodes: n1 n1=10.0.0.1 n2=10.0.0.2 ...
func main() {
	id, config, ips := os.Args[1], raft.DefaultConfig(), map[string]string{}
	var servers []raft.Server
	for _, arg := range os.Args[2:] {
		name, ip, _ := strings.Cut(arg, "=")
		ips[name] = ip
		servers = append(servers, raft.Server{ID: raft.ServerID(name), Address: raft.ServerAddress(ip + ":7000")})
	}
	config.LocalID, config.LogOutput, config.SnapshotThreshold = raft.ServerID(id), os.Stderr, 1<<40
	log := must(guest.OpenLog("/data", false))
	transport := raft.NewNetworkTransport(stream{must(guest.Listen(ips[id] + ":7000"))}, 3, time.Second, os.Stderr)
	snapshots, state := raft.NewInmemSnapshotStore(), registers{}
	if !must(raft.HasExistingState(log, log, snapshots)) {
		must(0, raft.BootstrapCluster(config, log, log, snapshots, transport, raft.Configuration{Servers: servers}))
	}
	node := must(raft.NewRaft(config, state, log, log, snapshots, transport))
	http.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		_, leader := node.LeaderWithID()
		_ = json.NewEncoder(w).Encode(map[string]any{"state": strings.ToLower(node.State().String()), "leader": map[string]any{"id": leader}, "term": node.CurrentTerm(), "voters": slices.Sorted(maps.Keys(ips))})
	})
	proxy := &httputil.ReverseProxy{Transport: &http.Transport{DialContext: func(ctx context.Context, _, to string) (net.Conn, error) { return guest.Dial(ctx, to) }}}
	proxy.Rewrite = func(r *httputil.ProxyRequest) {
		_, leader := node.LeaderWithID()
		r.SetURL(&url.URL{Scheme: "http", Host: ips[string(leader)] + ":8080"})
		r.Out.Header.Set("Forwarded", "yes")
	}
	onLeader := func(do http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if _, leader := node.LeaderWithID(); leader != "" && string(leader) != id && r.Header.Get("Forwarded") == "" {
				proxy.ServeHTTP(w, r)
			} else {
				do(w, r)
			}
		}
	}
	http.HandleFunc("GET /v1/kv/{key}", onLeader(func(w http.ResponseWriter, r *http.Request) {
		if err := node.Barrier(time.Second).Error(); err != nil { // everything acknowledged before is applied, and this node leads
			refuse(w, 503, "not_leader", true)
		} else if value, known := state[r.PathValue("key")]; !known { // one thread: no lock is needed
			refuse(w, 404, "key_not_found", true)
		} else {
			_ = json.NewEncoder(w).Encode(map[string]string{"value": value})
		}
	}))
	http.HandleFunc("PUT /v1/kv/{key}", onLeader(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			refuse(w, 501, "no_conditions", true)
			return
		}
		value, _ := io.ReadAll(r.Body)
		err := node.Apply([]byte(r.PathValue("key")+"\x00"+string(value)), time.Second).Error()
		if err != nil {
			refuse(w, 503, "not_written", err == raft.ErrNotLeader)
		}
	}))
	must(0, http.Serve(must(guest.Listen(ips[id]+":8080")), nil))
}
