package txn

import (
	"context"
	"fmt"
	"sort"

	"rift/harness/history"
)

// record is a history of transactions in columns. Transactions are numbered from 0 in the order of their invocations, so
// that "a was complete before b was invoked" is the comparison b >= after[a].
type record struct {
	*parser
	calls []history.Operation
	first []uint32 // transaction -> its first micro-operation; one more at the end
	after []int32  // transaction -> the first one invoked after its commit; len(calls) if there is none or no commit
}

// operation is the function of the operations that are judged; a history may hold others.
const operation = "txn"

// contextEvery is the number of transactions or steps of a search between two looks at the context.
const contextEvery = 1 << 14

// read takes the transactions of a history.
func read(ctx context.Context, h history.History, kind Kind) (*record, error) {
	all, err := h.Operations()
	if err != nil {
		return nil, fmt.Errorf("pair the operations: %w", err)
	}
	calls := all[:0]
	for _, o := range all {
		if o.F == operation {
			calls = append(calls, o)
		}
	}
	r := &record{parser: newParser(kind), calls: calls, first: make([]uint32, len(calls)+1), after: make([]int32, len(calls))}
	r.ops = make([]microOp, 0, 4*len(calls)) // a guess that saves copying
	for t := range calls {
		if t%contextEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		o := &calls[t]
		if t > 0 && o.Index <= calls[t-1].Index {
			return nil, fmt.Errorf("history line %d: index %d given, more than %d allowed", o.Index, o.Index, calls[t-1].Index)
		}
		text := o.Input
		if o.Type == history.OK {
			text = o.Output
		}
		if err := r.parse(text, int32(t), o.Type == history.OK); err != nil {
			return nil, fmt.Errorf("history line %d, process %d: read the transaction: %w", o.Index, o.Process, err)
		}
		r.first[t+1] = uint32(len(r.ops))
		r.after[t] = int32(len(calls))
	}
	for t := range calls {
		if calls[t].Type == history.OK {
			r.after[t] = r.invokedAfter(int32(t))
		}
	}
	return r, nil
}

// invokedAfter is the first transaction that was invoked after t was complete. It is near t unless t was slow.
func (r *record) invokedAfter(t int32) int32 {
	end, low, step := r.calls[t].End, int(t)+1, 1
	for low+step < len(r.calls) && r.calls[low+step].Index < end {
		low, step = low+step, 2*step
	}
	reach := min(step+1, len(r.calls)-low)
	return int32(low + sort.Search(reach, func(i int) bool { return r.calls[low+i].Index > end }))
}

// of gives the micro-operations of a transaction, and the place of the first one.
func (r *record) of(txn int32) (ops []microOp, first uint32) {
	first = r.first[txn]
	return r.ops[first:r.first[txn+1]], first
}

func (r *record) failed(txn int32) bool { return r.calls[txn].Type == history.Fail }
