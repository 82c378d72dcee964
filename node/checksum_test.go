package node

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

// TestDamageOfTheLogIsFound changes every part of an entry that is stored, in turn.
func TestDamageOfTheLogIsFound(t *testing.T) {
	inner := raft.NewInmemStore()
	logs := checkedLogs{inner}
	entry := &raft.Log{Index: 7, Term: 3, Type: raft.LogCommand, Data: []byte("data")}
	if err := logs.StoreLog(entry); err != nil || entry.Extensions != nil {
		t.Fatalf("store: %v, and the caller's entry has %q", err, entry.Extensions)
	}
	var got raft.Log
	if err := logs.GetLog(7, &got); err != nil || string(got.Data) != "data" || got.Term != 3 || got.Extensions != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := logs.GetLog(8, &got); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("a missing entry: %v", err)
	}
	for part, spoil := range map[string]func(l *raft.Log){
		"term":     func(l *raft.Log) { l.Term++ },
		"type":     func(l *raft.Log) { l.Type = raft.LogNoop },
		"data":     func(l *raft.Log) { l.Data = []byte("dbta") },
		"no data":  func(l *raft.Log) { l.Data = nil },
		"checksum": func(l *raft.Log) { l.Extensions = append([]byte{l.Extensions[0] ^ 1}, l.Extensions[1:]...) },
		"none":     func(l *raft.Log) { l.Extensions = nil },
	} {
		t.Run(part, func(t *testing.T) {
			var stored raft.Log
			if err := inner.GetLog(7, &stored); err != nil {
				t.Fatal(err)
			}
			spoil(&stored)
			spoiled := raft.NewInmemStore()
			if err := spoiled.StoreLog(&stored); err != nil {
				t.Fatal(err)
			}
			if err := (checkedLogs{spoiled}).GetLog(7, &got); !errors.Is(err, errDamaged) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestDamageOfRecordsIsFound(t *testing.T) {
	inner := raft.NewInmemStore()
	stable := checkedStable{inner}
	key := []byte("CurrentTerm")
	if _, err := stable.GetUint64(key); err == nil || err.Error() != "not found" { // the library knows this error by its text
		t.Errorf("a missing record: %v", err)
	}
	if err := stable.SetUint64(key, 1<<40); err != nil {
		t.Fatal(err)
	}
	if v, err := stable.GetUint64(key); v != 1<<40 || err != nil {
		t.Fatalf("%d, %v", v, err)
	}
	record, err := inner.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range record {
		spoiled := append([]byte{}, record...)
		spoiled[i] ^= 4
		if err := inner.Set(key, spoiled); err != nil {
			t.Fatal(err)
		}
		if _, err := stable.Get(key); !errors.Is(err, errDamaged) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	if err := inner.Set([]byte("other"), record); err != nil {
		t.Fatal(err)
	}
	if _, err := stable.Get([]byte("other")); !errors.Is(err, errDamaged) {
		t.Errorf("a record under another's key: %v", err)
	}
}
