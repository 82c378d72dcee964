package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

const (
	maxBatchCommands = 1024
	maxBatchBytes    = 128 << 10 // a follower that lags is sent up to 512 entries at once
	// maxInFlight bounds the entries that are logged but not yet applied. Proposals that come
	// meanwhile gather into the next entry: the busier the node, the larger the entries.
	maxInFlight = 4
	// maxQueued bounds the proposals that wait to be put into an entry.
	maxQueued = 4096
	// enqueueTimeout bounds how long raft's main loop may take to accept an entry.
	enqueueTimeout = 5 * time.Second
)

// A proposal asks for commands to be carried out together, by one log entry.
type proposal struct {
	commands []command
	ctx      context.Context
	taken    atomic.Bool // set by whoever comes first: the proposer that logs it, or the caller that gives up
	finished atomic.Bool
	done     chan struct{}
	results  []result // valid once done is closed, like err
	err      error
}

// finish answers the proposal, unless it has been answered.
func (p *proposal) finish(results []result, err error) {
	if p.finished.CompareAndSwap(false, true) {
		p.results, p.err = results, err
		close(p.done)
	}
}

// A proposer packs the proposals of many clients into few log entries. One entry costs the leader one
// write to its disk and each follower one message, however many commands it carries.
type proposer struct {
	raft  *raft.Raft
	seams *seams
	queue chan *proposal

	stuck    stuckTransfer
	stop     chan struct{} // closed to refuse all further proposals; logged ones may still be committed
	stopped  sync.WaitGroup
	inFlight chan struct{}
	observe  func(commands int) // a metric: the size of an entry
}

func newProposer(n *Node) *proposer {
	p := &proposer{
		raft: n.raft, seams: &n.seams, observe: n.metrics.entrySize,
		stuck: stuckTransfer{limit: 20 * n.config.ElectionTimeout, fail: n.fail},
		queue: make(chan *proposal, maxQueued), stop: make(chan struct{}), inFlight: make(chan struct{}, maxInFlight),
	}
	p.stopped.Add(1)
	go p.run()
	return p
}

// propose has the commands carried out as one, and returns what they did. The error, if any, is an
// *Error that says whether they may have been carried out.
func (p *proposer) propose(ctx context.Context, commands ...command) ([]result, error) {
	one := &proposal{commands: commands, ctx: ctx, done: make(chan struct{})}
	select {
	case p.queue <- one:
	case <-ctx.Done():
		return nil, definitely(CodeTimeout, "the node was too busy to take the operation")
	case <-p.stop:
		return nil, definitely(CodeShuttingDown, "the node is shutting down")
	}
	select {
	case <-one.done:
		return one.results, one.err
	case <-ctx.Done():
		if one.taken.CompareAndSwap(false, true) {
			return nil, definitely(CodeTimeout, "the operation waited too long for its turn")
		}
		return nil, proposalError(ctx.Err())
	case <-p.stop:
		if one.taken.CompareAndSwap(false, true) {
			return nil, definitely(CodeShuttingDown, "the node is shutting down")
		}
		return nil, perhaps(CodeShuttingDown, "the node is shutting down; the operation may still be committed")
	}
}

func (p *proposer) run() {
	defer p.stopped.Done()
	for {
		select {
		case p.inFlight <- struct{}{}:
		case <-p.stop:
			return
		}
		var batch []*proposal
		for len(batch) == 0 {
			select {
			case first := <-p.queue:
				batch = p.gather(first)
			case <-p.stop:
				return
			}
		}
		p.log(batch)
	}
}

// gather takes first and whatever else waits, up to the size of a batch, and leaves out proposals
// that nobody waits for any more.
func (p *proposer) gather(first *proposal) []*proposal {
	var batch []*proposal
	commands, bytes := 0, 0
	for next := first; ; {
		if next.ctx.Err() == nil && next.taken.CompareAndSwap(false, true) {
			batch = append(batch, next)
			commands += len(next.commands)
			for i := range next.commands {
				bytes += next.commands[i].size()
			}
		}
		if commands >= maxBatchCommands || bytes >= maxBatchBytes {
			return batch
		}
		select {
		case next = <-p.queue:
		default:
			return batch
		}
	}
}

// log hands a batch to raft as one entry and sees to it that each proposal gets its answer.
func (p *proposer) log(batch []*proposal) {
	e := entry{term: p.raft.CurrentTerm()}
	for _, one := range batch {
		e.commands = append(e.commands, one.commands...)
	}
	if p.raft.State() != raft.Leader {
		<-p.inFlight
		p.answer(batch, nil, raft.ErrNotLeader)
		return
	}
	p.observe(len(e.commands))
	future := p.raft.Apply(encodeEntry(e), enqueueTimeout)
	var settled func()
	if p.seams.logged != nil {
		settled = p.seams.logged(batch)
	}
	go func() { // owned by the future: it ends when raft answers
		err := future.Error()
		<-p.inFlight
		var results []result
		if err == nil {
			switch answer := future.Response().(type) {
			case []result:
				results = answer
			case error:
				err = answer
			}
		}
		if settled != nil {
			settled()
		}
		p.stuck.note(err)
		p.answer(batch, results, err)
	}()
}

// answer gives each proposal its share of the results, or the error.
func (p *proposer) answer(batch []*proposal, results []result, err error) {
	for _, one := range batch {
		if err != nil {
			one.finish(nil, proposalError(err))
			continue
		}
		one.finish(results[:len(one.commands)], nil)
		results = results[len(one.commands):]
	}
}

// A stuckTransfer finds out when the library refuses all writes for the sake of a hand-over that never
// ends (hashicorp/raft issue 696). Nothing but a restart helps then.
type stuckTransfer struct {
	limit time.Duration
	fail  func(error)

	mu    sync.Mutex
	since time.Time // of the first refusal in an unbroken row
}

// note is told how each proposal ended.
func (s *stuckTransfer) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !errors.Is(err, raft.ErrLeadershipTransferInProgress):
		s.since = time.Time{}
	case s.since.IsZero():
		s.since = time.Now()
	case time.Since(s.since) > s.limit:
		s.fail(fmt.Errorf("raft has refused all writes for %s because of a hand-over that does not end", s.limit))
	}
}
