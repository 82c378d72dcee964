package node

// doubleApply sends a forwarded request again when the connection to the leader broke before the answer came. The
// leader may have logged it by then: it is carried out twice.
var doubleApply = Bug{
	Name:        "double-apply",
	Description: "a follower sends a forwarded request again when its answer was lost",
	plant: func(n *Node) {
		n.seams.unanswered = func(e *Error) *Error {
			if e.Code != CodeLeadershipLost {
				return e
			}
			return definitely(CodeNoLeader, "%s", e.Message)
		}
	},
}
