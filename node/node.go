// Package node is Rift's reference node: a replicated key-value store on hashicorp/raft, with an HTTP
// API, that is meant to keep every promise it makes, or to break one on purpose.
//
// Inside is a pure state machine (state.go): immutable versions, a deterministic transition for each
// log entry, transactions over many keys among them (transaction.go). Around it, from the inside out:
//
//	machine    raft's view of the state machine; publishes each new state
//	proposer   packs the writes of many clients into few log entries
//	view       linearizable reads from any node (batched ReadIndex)
//	member     joining and leaving: checked, caught up, and only with a live quorum
//	api        the paper's small HTTP API and the modern one; every error says whether it is definite
//	stream     raft's connections, which begin by comparing cluster ids
//	voteStore, logStore, transport   close known faults of the library (issues 661, 503, 695)
//	failStop   what becomes of a node whose disk fails; checkedLogs, checkedStable know damage when they read it
//
// A Host supplies the listener, the dialler and the storage; everything else is Go's own time,
// randomness and files, so that a simulation can run the same code. Bugs lists the bugs on purpose.
package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// logCacheSize is how many of the newest log entries are kept in memory for followers.
const logCacheSize = 2048

// A Node is one running member of a cluster.
type Node struct {
	config    Config
	logger    *slog.Logger
	storage   *Storage
	identity  *identity
	stream    *stream
	transport *transport
	machine   *machine
	logs      raft.LogStore
	raft      *raft.Raft
	proposer  *proposer
	peers     *peers
	metrics   *metrics
	seams     seams
	disk      *failStop
	server    *http.Server

	gate       gate
	leadership broadcast // changes when the leader or this node's role does
	confirmed  *coalescer[uint64]
	asked      *coalescer[uint64]
	membership chan struct{} // held, by sending, while a change of the membership is under way

	ctx      context.Context // ends when the node stops
	cancel   context.CancelFunc
	running  sync.WaitGroup
	draining atomic.Bool
	leads    atomic.Bool // follows raft's announcements
	failure  chan error  // the first reason why the node cannot go on
	notify   chan bool   // raft's announcements that this node became or ceased to be the leader
}

// Start starts a node: it listens, opens and checks its storage, founds a cluster if it has neither data
// nor an address to join, and takes part. Everything it can know to be wrong is an error here.
func Start(config Config, host Host, logger *slog.Logger) (_ *Node, err error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	n := &Node{
		config: config, logger: logger.With("node", config.ID), metrics: newMetrics(),
		membership: make(chan struct{}, 1), failure: make(chan error, 1), notify: make(chan bool, 16),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.disk = &failStop{fail: n.fail, silenced: make(chan struct{})}
	n.machine = newMachine()
	if err := n.plantBugs(); err != nil {
		return nil, err
	}
	var undo []func()
	defer func() {
		for i := len(undo) - 1; err != nil && i >= 0; i-- {
			undo[i]()
		}
	}()
	undo = append(undo, n.cancel)
	web, err := host.Listen(config.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("haddr: %w", err)
	}
	undo = append(undo, func() { web.Close() })
	listener, err := host.Listen(config.RaftAddr)
	if err != nil {
		return nil, fmt.Errorf("raddr: %w", err)
	}
	undo = append(undo, func() { listener.Close() })
	n.config.HTTPAddr, n.config.RaftAddr = web.Addr().String(), listener.Addr().String()

	n.storage = memoryStorage()
	if !config.InMemory {
		if err := guarded(func() (err error) { n.storage, err = n.openChecked(host); return err }); err != nil {
			return nil, err
		}
	}
	undo = append(undo, func() { n.storage.Close() })
	if err := guarded(func() error { return n.assemble(host, listener) }); err != nil {
		return nil, err
	}
	n.run(host, web)
	return n, nil
}

// openChecked opens the data directory, whose content has checksums, and reads its log once.
func (n *Node) openChecked(host Host) (*Storage, error) {
	opened, err := host.OpenStorage(n.config.DataDir, n.seams.unsynced, n.logger)
	if err != nil {
		return nil, err
	}
	if n.seams.storage != nil {
		opened = n.seams.storage(opened)
	}
	s := &Storage{
		Logs: checkedLogs{opened.Logs}, Stable: checkedStable{opened.Stable}, Snapshots: opened.Snapshots,
		Sync: opened.Sync, Close: opened.Close,
	}
	if err := s.check(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is damaged: %w", n.config.DataDir, err), s.Close())
	}
	s.Snapshots = soundSnapshots{opened.Snapshots, n.logger}
	return s, nil
}

// guarded turns the panics and memory faults that a damaged, memory-mapped file can cause into errors.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the data directory is damaged: %v", p)
		}
	}()
	return f()
}

// assemble builds the node up to the running raft library.
func (n *Node) assemble(host Host, listener net.Listener) (err error) {
	existing, err := raft.HasExistingState(n.storage.Logs, n.storage.Stable, n.storage.Snapshots)
	if err != nil {
		return fmt.Errorf("read the data directory: %w", err)
	}
	if n.identity, err = loadIdentity(n.config.ID, n.config.ClusterID, n.storage.Stable); err != nil {
		return err
	}
	if n.config.Trace {
		n.machine.trace = &tracer{n.logger}
	}
	n.machine.trace.started(existing)
	n.machine.onCluster = func(id string) {
		if err := n.identity.learn(id); err != nil {
			n.fail(err)
		}
	}
	stable := raft.StableStore(&voteStore{StableStore: strictStable{n.storage.Stable, n.disk}, trace: n.machine.trace})
	if n.seams.stable != nil {
		stable = n.seams.stable(stable)
	}
	logs, err := raft.NewLogCache(logCacheSize, newLogStore(strictLogs{n.storage.Logs, n.disk}, 4*n.config.HeartbeatTimeout, n.leads.Load))
	if err != nil {
		return fmt.Errorf("make the log cache: %w", err)
	}
	n.logs = logs
	logger := raftLogger{logger: n.logger.With("part", "raft")}
	n.stream = newStream(host, listener, n.identity, 4*n.config.HeartbeatTimeout, n.logger)
	if existing || len(n.config.Join) == 0 || n.vouched() {
		n.stream.admit()
	}
	n.transport = newTransport(raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: n.stream, MaxPool: 4, Timeout: max(2*n.config.HeartbeatTimeout, 250*time.Millisecond), Logger: logger,
	}))
	defer func() {
		if err != nil {
			n.transport.Close()
		}
	}()
	configuration := n.config.raftConfig(logger, n.notify)
	if !existing && len(n.config.Join) == 0 {
		if err := n.found(configuration, logs, stable); err != nil {
			return err
		}
	}
	n.raft, err = raft.NewRaft(configuration, n.machine, logs, stable, strictSnapshots{n.storage.Snapshots, n.disk}, n.transport)
	if err != nil {
		return fmt.Errorf("start raft on the data directory: %w", err)
	}
	n.machine.trace.follow(n.raft)
	n.disk.running.Store(true)
	return nil
}

// found makes this node the only member of a new cluster.
func (n *Node) found(c *raft.Config, logs raft.LogStore, stable raft.StableStore) error {
	if n.identity.cluster() == "" {
		name := make([]byte, 6)
		rand.Read(name) // never fails
		if err := n.identity.learn(hex.EncodeToString(name)); err != nil {
			return err
		}
	}
	self := raft.Server{ID: c.LocalID, Address: n.transport.LocalAddr()}
	err := raft.BootstrapCluster(c, logs, stable, n.storage.Snapshots, n.transport, raft.Configuration{Servers: []raft.Server{self}})
	if err != nil {
		return fmt.Errorf("found a cluster: %w", err)
	}
	n.logger.Info("founded a cluster", "cluster", n.identity.cluster())
	return nil
}

// run starts the node's own goroutines. They all end with n.ctx, and stop waits for them.
func (n *Node) run(host Host, web net.Listener) {
	n.proposer = newProposer(n)
	n.peers = newPeers(n.config.ID, host, n.config.HeartbeatTimeout)
	n.confirmed = newCoalescer(n.confirmLeadership)
	n.asked = newCoalescer(n.askReadIndex)
	n.server = &http.Server{
		Handler:           n.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(n.logger.Handler(), slog.LevelDebug),
	}
	tasks := []func(context.Context){n.confirmed.run, n.asked.run, n.watchLeader, n.watchOwnLeadership, n.register}
	if n.seams.background != nil {
		tasks = append(tasks, n.seams.background)
	}
	for _, f := range tasks {
		n.running.Add(1)
		go func() { defer n.running.Done(); f(n.ctx) }()
	}
	n.running.Add(1)
	go func() {
		defer n.running.Done()
		if err := n.server.Serve(web); !errors.Is(err, http.ErrServerClosed) {
			n.fail(fmt.Errorf("serve HTTP: %w", err))
		}
	}()
	n.logger.Info("started", "http", n.config.HTTPAddr, "raft", n.config.RaftAddr, "bugs", n.config.Bugs, "version", n.config.Version)
}

// fail reports that the node cannot go on.
func (n *Node) fail(err error) {
	select {
	case n.failure <- err:
	default: // the first reason is the one that counts
	}
}

// Failed yields an error if the node finds that it cannot go on, such as a definite refusal to let it
// join. The owner should then shut it down.
func (n *Node) Failed() <-chan error { return n.failure }

// HTTPAddr is the address where the node serves HTTP.
func (n *Node) HTTPAddr() string { return n.config.HTTPAddr }

// drainTimeout bounds how long Shutdown waits for requests that are under way.
const drainTimeout = 5 * time.Second

// Shutdown takes no more requests, lets those under way end, hands the leadership over if it has it,
// and stops. A node whose disk has failed stops at once.
func (n *Node) Shutdown() error {
	if n.disk.failed.Load() {
		return n.stop()
	}
	n.draining.Store(true)
	n.logger.Info("shutting down")
	ctx, cancel := context.WithTimeout(n.ctx, drainTimeout)
	if err := n.server.Shutdown(ctx); err != nil {
		n.logger.Warn("requests were still under way", "error", err)
	}
	cancel()
	n.handOver()
	return n.stop()
}

// stopTimeout bounds how long stop waits for the library, which can hang (hashicorp/raft issue 696).
const stopTimeout = 5 * time.Second

// stop ends everything at once, as far as a process can do that to itself.
func (n *Node) stop() error {
	n.draining.Store(true)
	n.cancel()
	close(n.proposer.stop)
	errs := []error{n.server.Close(), n.transport.Close()}
	n.transport.CloseStreams()
	close(n.disk.silenced)
	stopped := make(chan error, 1)
	go func() { stopped <- n.raft.Shutdown().Error() }()
	select {
	case err := <-stopped:
		errs = append(errs, err)
	case <-time.After(stopTimeout):
		return errors.Join(append(errs, fmt.Errorf("raft did not stop within %s", stopTimeout))...)
	}
	n.running.Wait()
	n.proposer.stopped.Wait()
	n.transport.probes.sending.Wait()
	n.peers.close()
	errs = append(errs, n.storage.Close())
	n.logger.Info("stopped")
	return errors.Join(errs...)
}
