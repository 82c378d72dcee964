package node

import (
	"context"
	"net/http"
)

// doubleApply sends a forwarded request again when the answer is lost: the connection to the leader broke, or no
// answer came within half a heartbeat timeout. The leader may have logged the request by then: it is carried out
// twice.
var doubleApply = Bug{
	Name:        "double-apply",
	Description: "a follower sends a forwarded request again when its answer was lost",
	plant:       func(n *Node) { n.seams.forward = n.forwardAgain },
}

// forwardAgain calls what nobody knows something that did not happen, and so has onLeader try again.
func (n *Node) forwardAgain(w http.ResponseWriter, r *http.Request, body []byte, leader leaderInfo) error {
	ctx, cancel := context.WithTimeout(r.Context(), n.config.HeartbeatTimeout/2)
	defer cancel()
	err := n.forward(w, r.WithContext(ctx), body, leader)
	if err != nil && !asError(err).Definite && r.Context().Err() == nil {
		return definitely(CodeNoLeader, "%v", err)
	}
	return err
}
