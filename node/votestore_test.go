package node

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

var errPowerCut = errors.New("power cut")

// A failingStore fails its nth write and all later ones, as a crash would.
type failingStore struct {
	raft.StableStore
	writes int
}

func (s *failingStore) write(f func() error) error {
	if s.writes--; s.writes < 0 {
		return errPowerCut
	}
	return f()
}

func (s *failingStore) Set(k, v []byte) error {
	return s.write(func() error { return s.StableStore.Set(k, v) })
}

func (s *failingStore) SetUint64(k []byte, v uint64) error {
	return s.write(func() error { return s.StableStore.SetUint64(k, v) })
}

// persistVote is what the library does.
func persistVote(s raft.StableStore, term uint64, candidate string) error {
	if err := s.SetUint64([]byte(keyVoteTerm), term); err != nil {
		return err
	}
	return s.Set([]byte(keyVoteCandidate), []byte(candidate))
}

func voteOf(t *testing.T, s raft.StableStore) (uint64, string) {
	t.Helper()
	term, err := s.GetUint64([]byte(keyVoteTerm))
	if err != nil && err.Error() != "not found" {
		t.Fatal(err)
	}
	candidate, err := s.Get([]byte(keyVoteCandidate))
	if err != nil && err.Error() != "not found" {
		t.Fatal(err)
	}
	return term, string(candidate)
}

// Wherever a crash interrupts the writing of a vote, the disk holds either the old vote or the new one
// (hashicorp/raft issue 661). The bare store fails this: that is what makes the test worth something.
func TestAVoteIsOneWrite(t *testing.T) {
	mixed := func(wrap func(raft.StableStore) raft.StableStore) (found bool) {
		for crash := range 3 {
			disk := raft.NewInmemStore()
			if err := persistVote(wrap(disk), 4, "a"); err != nil {
				t.Fatal(err)
			}
			err := persistVote(wrap(&failingStore{disk, crash}), 5, "b")
			term, candidate := voteOf(t, wrap(disk))
			if err == nil && (term != 5 || candidate != "b") {
				t.Errorf("the vote was written, and is %d for %q", term, candidate)
			}
			if !(term == 4 && candidate == "a" || term == 5 && candidate == "b") {
				found = true
			}
		}
		return found
	}
	if mixed(func(s raft.StableStore) raft.StableStore { return &voteStore{StableStore: s} }) {
		t.Error("a crash mixes two votes")
	}
	if !mixed(func(s raft.StableStore) raft.StableStore { return s }) {
		t.Error("the bare store does not mix votes: this test tests nothing")
	}
}

func TestTheVoteStorePassesOtherKeysThrough(t *testing.T) {
	disk := raft.NewInmemStore()
	s := &voteStore{StableStore: disk}
	if term, candidate := voteOf(t, s); term != 0 || candidate != "" {
		t.Errorf("without a vote: %d, %q", term, candidate)
	}
	if err := errors.Join(s.SetUint64([]byte("CurrentTerm"), 7), s.Set([]byte("x"), []byte("y"))); err != nil {
		t.Fatal(err)
	}
	term, err := disk.GetUint64([]byte("CurrentTerm"))
	x, err2 := s.Get([]byte("x"))
	if term != 7 || string(x) != "y" || err != nil || err2 != nil {
		t.Errorf("got %d, %q, %v, %v", term, x, err, err2)
	}
	if err := disk.Set([]byte(keyVote), []byte("short")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetUint64([]byte(keyVoteTerm)); err == nil {
		t.Error("a damaged vote was accepted")
	}
}
