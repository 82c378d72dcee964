package node

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
)

// The library's names for the two halves of a vote, and ours for the whole.
const (
	keyVoteTerm      = "LastVoteTerm"
	keyVoteCandidate = "LastVoteCand"
	keyVote          = "rift/vote"
	keyTerm          = "CurrentTerm"
)

// A voteStore keeps the term and the candidate of the last vote in one record. The library writes them
// one after the other, term first: a crash in between leaves the new term beside the old candidate,
// who is then granted a second vote in that term (hashicorp/raft issue 661).
type voteStore struct {
	raft.StableStore
	mu   sync.Mutex
	term uint64 // the term of the vote that is being written

	trace *tracer
}

// SetUint64 holds a vote's term back until its candidate comes.
func (s *voteStore) SetUint64(key []byte, v uint64) error {
	if string(key) != keyVoteTerm {
		err := s.StableStore.SetUint64(key, v)
		if err == nil && string(key) == keyTerm {
			s.trace.term(v)
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.term = v
	return nil
}

// Set writes a vote's candidate and term together.
func (s *voteStore) Set(key, v []byte) error {
	if string(key) != keyVoteCandidate {
		return s.StableStore.Set(key, v)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.StableStore.Set([]byte(keyVote), append(binary.BigEndian.AppendUint64(nil, s.term), v...))
	if err == nil {
		s.trace.vote(s.term, v)
	}
	return err
}

// GetUint64 returns a vote's term from the record.
func (s *voteStore) GetUint64(key []byte) (uint64, error) {
	if string(key) != keyVoteTerm {
		return s.StableStore.GetUint64(key)
	}
	term, _, err := s.vote()
	return term, err
}

// Get returns a vote's candidate from the record.
func (s *voteStore) Get(key []byte) ([]byte, error) {
	if string(key) != keyVoteCandidate {
		return s.StableStore.Get(key)
	}
	_, candidate, err := s.vote()
	return candidate, err
}

func (s *voteStore) vote() (uint64, []byte, error) {
	record, err := s.StableStore.Get([]byte(keyVote))
	if err != nil || len(record) == 0 {
		return 0, nil, err
	}
	if len(record) < 8 {
		return 0, nil, fmt.Errorf("the record of the last vote is damaged: %d bytes", len(record))
	}
	return binary.BigEndian.Uint64(record), record[8:], nil
}
