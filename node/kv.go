package node

import (
	"context"
	"net/http"
	"strconv"
)

// An Item is a key as clients see it.
type Item struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	Revision uint64 `json:"revision"` // the cluster's revision when the key was last changed
}

type itemAnswer struct {
	Item
	ClusterRevision uint64 `json:"cluster_revision"`
}

type writeAnswer struct {
	Key             string `json:"key"`
	Revision        uint64 `json:"revision"` // 0 after a delete
	Existed         bool   `json:"existed"`  // before the write
	ClusterRevision uint64 `json:"cluster_revision"`
}

type listAnswer struct {
	Items    []Item `json:"items"` // in the order of their keys
	Revision uint64 `json:"revision"`
}

// lookup reads one key. The bug dirty-read has its seam here.
func (n *Node) lookup(ctx context.Context, key string, linearizable bool) (it item, ok bool, revision uint64, err error) {
	if n.seams.peek != nil {
		if it, ok, known := n.seams.peek(key); known {
			return it, ok, n.machine.state().revision, nil
		}
	}
	s := n.machine.state()
	if linearizable {
		if s, err = n.view(ctx); err != nil {
			return item{}, false, 0, err
		}
	}
	it, ok = s.get(key)
	return it, ok, s.revision, nil
}

// get serves GET /v1/kv/{key}.
func (n *Node) get(w http.ResponseWriter, r *http.Request) error {
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	consistency, err := choice(r, "consistency", "linearizable", "stale")
	if err != nil {
		return err
	}
	it, ok, revision, err := n.lookup(r.Context(), key, consistency == "linearizable")
	if err != nil {
		return err
	}
	if !ok {
		return definitely(CodeKeyNotFound, "there is no key %q", key)
	}
	writeJSON(w, http.StatusOK, itemAnswer{Item{key, it.value, it.revision}, revision})
	return nil
}

// list serves GET /v1/kv?prefix=P: all keys below a prefix, in one consistent read.
func (n *Node) list(w http.ResponseWriter, r *http.Request) error {
	consistency, err := choice(r, "consistency", "linearizable", "stale")
	if err != nil {
		return err
	}
	s := n.machine.state()
	if consistency == "linearizable" {
		if s, err = n.view(r.Context()); err != nil {
			return err
		}
	}
	answer := listAnswer{Items: []Item{}, Revision: s.revision}
	s.keys.Root().WalkPrefix([]byte(r.URL.Query().Get("prefix")), func(key []byte, v any) bool {
		it := v.(item)
		answer.Items = append(answer.Items, Item{string(key), it.value, it.revision})
		return false
	})
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// put serves PUT /v1/kv/{key}, with an optional condition and time to live.
func (n *Node) put(w http.ResponseWriter, r *http.Request) error {
	value, err := valueOf(r)
	if err != nil {
		return err
	}
	ttl, err := ttlOf(r)
	if err != nil {
		return err
	}
	return n.write(w, r, command{op: opPut, value: value, span: ttl})
}

// remove serves DELETE /v1/kv/{key}, with an optional condition.
func (n *Node) remove(w http.ResponseWriter, r *http.Request) error {
	return n.write(w, r, command{op: opDelete})
}

func (n *Node) write(w http.ResponseWriter, r *http.Request, c command) (err error) {
	if c.key, err = keyOf(r); err != nil {
		return err
	}
	if err := c.setCondition(r); err != nil {
		return err
	}
	results, err := n.commit(r.Context(), c)
	if err != nil {
		return err
	}
	done := results[0]
	if !done.applied {
		return compareFailed(c, done)
	}
	writeJSON(w, http.StatusOK, writeAnswer{c.key, done.revision, done.existed, done.cluster})
	return nil
}

// commit has this node, as the leader, carry out commands. The bug cas-race has its seam here.
func (n *Node) commit(ctx context.Context, commands ...command) ([]result, error) {
	if n.seams.decide != nil {
		if failed := n.seams.decide(commands); failed != nil {
			return failed, nil
		}
	}
	return n.proposer.propose(ctx, commands...)
}

// setCondition reads prev-value or prev-revision.
func (c *command) setCondition(r *http.Request) error {
	query := r.URL.Query()
	switch {
	case query.Has("prev-value") && query.Has("prev-revision"):
		return definitely(CodeBadRequest, "prev-value and prev-revision: only one of them is allowed")
	case query.Has("prev-value"):
		c.condition, c.prevValue = ifValue, query.Get("prev-value")
	case query.Has("prev-revision"):
		revision, err := strconv.ParseUint(query.Get("prev-revision"), 10, 64)
		if err != nil {
			return definitely(CodeBadRequest, "prev-revision: %q is not a whole number from 0", query.Get("prev-revision"))
		}
		c.condition, c.prevRevision = ifRevision, revision
	}
	return nil
}

func compareFailed(c command, r result) *Error {
	e := definitely(CodeCompareFailed, "the key %q is not as the condition says", c.key)
	if r.existed {
		e.Current = &Item{c.key, r.value, r.revision}
	}
	return e
}
