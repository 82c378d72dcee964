package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/raft"
)

// A Code names a kind of failure for programs. Codes never change their meaning; docs/node.md lists them.
type Code string

// All codes that a node answers with.
const (
	CodeBadRequest       Code = "bad_request"        // 400: the request is malformed, or a value is out of range
	CodeNotFound         Code = "not_found"          // 404: no such route
	CodeKeyNotFound      Code = "key_not_found"      // 404
	CodeMemberNotFound   Code = "member_not_found"   // 404
	CodeMethodNotAllowed Code = "method_not_allowed" // 405
	CodeCompareFailed    Code = "compare_failed"     // 409: the key is not as prev-value or prev-revision says
	CodeOperationRefused Code = "operation_refused"  // 409: an append to what is no array, an add to what is no integer
	CodeClusterMismatch  Code = "cluster_mismatch"   // 409: the node belongs to another cluster
	CodeIDTaken          Code = "id_taken"           // 409: another node uses this id or address
	CodeNoQuorum         Code = "no_quorum"          // 409: the change would leave no live quorum
	CodeUnreachable      Code = "unreachable"        // 409: nobody answers at the joining node's raft address
	CodeNotCaughtUp      Code = "not_caught_up"      // 409: a learner that lacks too much of the log to get a vote
	CodeTooLarge         Code = "too_large"          // 413: key or value
	CodeNotLeader        Code = "not_leader"         // 421: and forwarding was not allowed, or already done
	CodeStorage          Code = "storage_failed"     // 500: the disk failed or stalled
	CodeInternal         Code = "internal"           // 500
	CodeNoLeader         Code = "no_leader"          // 503: no leader is known
	CodeLeadershipLost   Code = "leadership_lost"    // 503: lost while the operation was under way
	CodeShuttingDown     Code = "shutting_down"      // 503
	CodeTimeout          Code = "timeout"            // 504
)

var statusOf = map[Code]int{
	CodeBadRequest: http.StatusBadRequest,
	CodeNotFound:   http.StatusNotFound, CodeKeyNotFound: http.StatusNotFound, CodeMemberNotFound: http.StatusNotFound,
	CodeMethodNotAllowed: http.StatusMethodNotAllowed,
	CodeCompareFailed:    http.StatusConflict, CodeOperationRefused: http.StatusConflict, CodeClusterMismatch: http.StatusConflict, CodeIDTaken: http.StatusConflict,
	CodeNoQuorum: http.StatusConflict, CodeUnreachable: http.StatusConflict, CodeNotCaughtUp: http.StatusConflict,
	CodeTooLarge:  http.StatusRequestEntityTooLarge,
	CodeNotLeader: http.StatusMisdirectedRequest,
	CodeStorage:   http.StatusInternalServerError, CodeInternal: http.StatusInternalServerError,
	CodeNoLeader: http.StatusServiceUnavailable, CodeLeadershipLost: http.StatusServiceUnavailable, CodeShuttingDown: http.StatusServiceUnavailable,
	CodeTimeout: http.StatusGatewayTimeout,
}

// An Error is how an operation failed, and whether it certainly did not happen.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Leader  *Peer  `json:"leader"` // the leader as far as this node knows, or null
	// Definite is true if the operation certainly had no effect and never will have. If it is false,
	// nobody knows: the operation may have happened, or may still happen.
	Definite bool `json:"definite"`
	// Current is the key as it is, where Code is CodeCompareFailed; null if it does not exist.
	Current *Item `json:"current,omitempty"`
}

// A Peer is a node as others reach it.
type Peer struct {
	ID   string `json:"id"`
	HTTP string `json:"http"`
}

// Error returns the code and the message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// definitely is an Error of an operation that certainly did not happen.
func definitely(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Definite: true}
}

// perhaps is an Error of an operation whose fate is unknown.
func perhaps(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// asError makes an *Error of whatever an operation ended with.
func asError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return perhaps(CodeTimeout, "%v", err)
	default:
		return perhaps(CodeInternal, "%v", err)
	}
}

// proposalError says what became of a proposal that raft answered with err. Only those errors of the
// library are definite that it returns before it logs anything.
func proposalError(err error) *Error {
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		return definitely(CodeNotLeader, "this node is not the leader (any more)")
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return definitely(CodeNoLeader, "leadership is being handed over")
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return definitely(CodeTimeout, "the leader was too busy to take the operation")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return perhaps(CodeTimeout, "the operation was logged but not committed in time; it may still be")
	case errors.Is(err, raft.ErrLeadershipLost):
		return perhaps(CodeLeadershipLost, "leadership was lost before the operation was committed; it may still be")
	case errors.Is(err, raft.ErrRaftShutdown):
		return perhaps(CodeShuttingDown, "the node shut down before the operation was committed; it may still be")
	default:
		return perhaps(CodeStorage, "%v", err)
	}
}
