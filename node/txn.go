package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"
)

// A txnRequest is the body of POST /v1/txn.
type txnRequest struct {
	Compare []txnCompare `json:"compare"`
	Then    []txnStep    `json:"then"`
	Else    []txnStep    `json:"else"`
}

// A txnCompare must hold for the operations of then to be carried out. It has a key and one of the others.
type txnCompare struct {
	Key      string  `json:"key"`
	Value    *string `json:"value"`
	Revision *uint64 `json:"revision"` // 0: the key does not exist
	Exists   *bool   `json:"exists"`
}

type txnStep struct {
	Op    string  `json:"op"`
	Key   string  `json:"key"`
	Value *string `json:"value"`
}

type txnAnswer struct {
	Succeeded bool         `json:"succeeded"` // all comparisons held
	Results   []stepAnswer `json:"results"`   // one for each operation of the branch that was chosen
	Revision  uint64       `json:"revision"`  // the cluster's, after the transaction
}

// stepOps are the operations of a transaction.
var stepOps = map[string]op{"get": opGet, "put": opPut, "delete": opDelete, "append": opAppend, "add": opAdd}

// transact serves POST /v1/txn. One that can change nothing is a linearizable read, on any node.
func (n *Node) transact(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	x, err := parseTransaction(body)
	if err != nil {
		return err
	}
	if x.readOnly() {
		read := n.readTransaction
		if n.seams.readTransaction != nil {
			read = n.seams.readTransaction
		}
		d, revision, err := read(r.Context(), x)
		if err != nil {
			return err
		}
		return answerTransaction(w, &d.outcome, revision)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return n.onLeader(func(w http.ResponseWriter, r *http.Request) error {
		carryOut := n.writeTransaction
		if n.seams.writeTransaction != nil {
			carryOut = n.seams.writeTransaction
		}
		done, err := carryOut(r.Context(), x)
		if err != nil {
			return err
		}
		return answerTransaction(w, done.txn, done.cluster)
	})(w, r)
}

func answerTransaction(w http.ResponseWriter, o *outcome, revision uint64) error {
	if o.refused != nil {
		return o.refused
	}
	writeJSON(w, http.StatusOK, txnAnswer{o.succeeded, o.steps, revision})
	return nil
}

// readTransaction works out a transaction that changes nothing, in one consistent read.
func (n *Node) readTransaction(ctx context.Context, x *transaction) (*draft, uint64, error) {
	s, err := n.view(ctx)
	if err != nil {
		return nil, 0, err
	}
	return x.evaluate(s.get, s.revision+1), s.revision, nil
}

// writeTransaction has this node, as the leader, carry out a transaction.
func (n *Node) writeTransaction(ctx context.Context, x *transaction) (result, error) {
	results, err := n.commit(ctx, command{op: opTxn, txn: x})
	if err != nil {
		return result{}, err
	}
	return results[0], nil
}

// parseTransaction reads the body of POST /v1/txn. Its errors name the field.
func parseTransaction(body []byte) (*transaction, error) {
	if !utf8.Valid(body) {
		return nil, definitely(CodeBadRequest, "the body is not valid UTF-8")
	}
	var t txnRequest
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(&t)
	if _, more := d.Token(); err == nil && !errors.Is(more, io.EOF) {
		err = errors.New("more than one JSON value")
	}
	if err != nil {
		return nil, definitely(CodeBadRequest, "the body is not a transaction: %v", err)
	}
	if count := len(t.Compare) + len(t.Then) + len(t.Else); count > maxSteps {
		return nil, definitely(CodeTooLarge, "compare, then, else: %d comparisons and operations are more than %d", count, maxSteps)
	}
	x := &transaction{}
	for i := range t.Compare {
		c, err := t.Compare[i].command()
		if err != nil {
			return nil, within(fmt.Sprintf("compare[%d]", i), err)
		}
		x.compare = append(x.compare, c)
	}
	if x.then, err = commandsOf("then", t.Then); err != nil {
		return nil, err
	}
	x.otherwise, err = commandsOf("else", t.Else)
	return x, err
}

// command is the comparison as the state machine knows it: a get with a condition.
func (t *txnCompare) command() (command, error) {
	c := command{op: opGet, key: t.Key}
	given := 0
	if t.Value != nil {
		c.condition, c.prevValue = ifValue, *t.Value
		given++
	}
	if t.Revision != nil {
		c.condition, c.prevRevision = ifRevision, *t.Revision
		given++
	}
	if t.Exists != nil {
		if c.condition = ifRevision; *t.Exists { // at revision 0, the key does not exist
			c.condition = ifExists
		}
		given++
	}
	if given != 1 {
		return command{}, definitely(CodeBadRequest, "one of value, revision and exists is needed, not %d", given)
	}
	return c, checkKey(t.Key)
}

func commandsOf(branch string, steps []txnStep) (commands []command, err error) {
	for i := range steps {
		c, err := steps[i].command()
		if err != nil {
			return nil, within(fmt.Sprintf("%s[%d]", branch, i), err)
		}
		commands = append(commands, c)
	}
	return commands, nil
}

// command is the operation as the state machine knows it.
func (t *txnStep) command() (command, error) {
	c := command{op: stepOps[t.Op], key: t.Key}
	takesValue := c.op == opPut || c.op == opAppend || c.op == opAdd
	switch {
	case c.op == 0:
		return command{}, definitely(CodeBadRequest, "op: %q is not one of get, put, delete, append, add", t.Op)
	case takesValue && t.Value == nil:
		return command{}, definitely(CodeBadRequest, "value: %s needs one", t.Op)
	case !takesValue && t.Value != nil:
		return command{}, definitely(CodeBadRequest, "value: %s takes none", t.Op)
	case takesValue:
		c.value = *t.Value
	}
	switch c.op {
	case opAppend:
		var element bytes.Buffer
		if err := json.Compact(&element, []byte(c.value)); err != nil {
			return command{}, definitely(CodeBadRequest, "value: %q is not JSON", c.value)
		}
		c.value = element.String()
	case opAdd:
		if _, err := strconv.ParseInt(c.value, 10, 64); err != nil {
			return command{}, definitely(CodeBadRequest, "value: %q is not a 64-bit integer", c.value)
		}
	}
	return c, checkKey(t.Key)
}

// within says where in a transaction an error is.
func within(where string, err error) error {
	e := *asError(err)
	e.Message = where + ": " + e.Message
	return &e
}
