package node

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"unicode/utf8"
)

// paperGet serves GET /key/{key}: {"key":"value"}, with an empty value for a missing key.
func (n *Node) paperGet(w http.ResponseWriter, r *http.Request) error {
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	it, _, _, err := n.lookup(r.Context(), key, true)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{key: it.value})
	return nil
}

// paperPutMany serves POST /key: all pairs of a JSON object, at once.
func (n *Node) paperPutMany(w http.ResponseWriter, r *http.Request) error {
	var pairs map[string]string
	if err := json.NewDecoder(r.Body).Decode(&pairs); err != nil {
		return definitely(CodeBadRequest, "the body is not a JSON object of strings: %v", err)
	}
	return n.paperWrite(w, r, pairs)
}

// paperPut serves POST /key/{key}. The body is a JSON object of strings, as the original store wants it
// (the key in the path is then only a name); or a JSON string; or else the value as it stands.
func (n *Node) paperPut(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return definitely(CodeBadRequest, "read the body: %v", err)
	}
	var pairs map[string]string
	if json.Unmarshal(body, &pairs) == nil && pairs != nil {
		return n.paperWrite(w, r, pairs)
	}
	var value string
	if json.Unmarshal(body, &value) != nil {
		value = string(body)
	}
	return n.paperWrite(w, r, map[string]string{r.PathValue("key"): value})
}

// paperDelete serves DELETE /key/{key}.
func (n *Node) paperDelete(w http.ResponseWriter, r *http.Request) error {
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	if _, err := n.commit(r.Context(), command{op: opDelete, key: key}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (n *Node) paperWrite(w http.ResponseWriter, r *http.Request, pairs map[string]string) error {
	var commands []command
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		if err := checkKey(key); err != nil {
			return err
		}
		if !utf8.ValidString(pairs[key]) {
			return definitely(CodeBadRequest, "value of %q: not valid UTF-8", key)
		}
		commands = append(commands, command{op: opPut, key: key, value: pairs[key]})
	}
	if len(commands) > 0 {
		if _, err := n.commit(r.Context(), commands...); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// A paperNode is a node as the original store's status shows it: the address is raft's.
type paperNode struct {
	ID      string `json:"id"`
	Address string `json:"address"`
}

// paperStatus serves GET /status.
func (n *Node) paperStatus(w http.ResponseWriter, _ *http.Request) error {
	leader := n.leader()
	answer := struct {
		Me        paperNode   `json:"me"`
		Leader    paperNode   `json:"leader"`
		Followers []paperNode `json:"followers"`
	}{paperNode{n.config.ID, n.config.RaftAddr}, paperNode{leader.ID, leader.Raft}, []paperNode{}}
	for _, s := range n.configuration().Servers {
		if string(s.ID) != leader.ID {
			answer.Followers = append(answer.Followers, paperNode{string(s.ID), string(s.Address)})
		}
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// A joinRequest is the body of POST /join. The paper knows the first two fields.
type joinRequest struct {
	ID        string `json:"id"`
	Addr      string `json:"addr"`                 // for raft
	HTTPAddr  string `json:"http_addr,omitempty"`  // told by the node itself when it starts, if missing here
	ClusterID string `json:"cluster_id,omitempty"` // "": whatever cluster this is
}

type joinAnswer struct {
	ID        string `json:"id"`
	ClusterID string `json:"cluster_id"`
}

// paperJoin serves POST /join: it makes a node a voter.
func (n *Node) paperJoin(w http.ResponseWriter, r *http.Request) error {
	var j joinRequest
	if err := json.NewDecoder(r.Body).Decode(&j); err != nil {
		return definitely(CodeBadRequest, "the body is not a JSON object of strings: %v", err)
	}
	voter := memberRequest{ID: j.ID, Raft: j.Addr, HTTP: j.HTTPAddr, Cluster: j.ClusterID, Voter: true}
	if err := n.join(r.Context(), voter, "addr", "http_addr"); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, joinAnswer{j.ID, n.identity.cluster()})
	return nil
}
