package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestConvertThereAndBack(t *testing.T) {
	const lines = `{"index":0,"time":5,"process":0,"type":"invoke","f":"cas","key":"r1","value":[1,2]}
{"index":1,"time":6,"process":-1,"type":"info","f":"kill","value":["n1"]}
{"index":2,"time":7,"process":0,"type":"fail","f":"cas","key":"r1","value":[1,2],"node":"n2","error":"mismatch"}
`
	dir := t.TempDir()
	edn, back := filepath.Join(dir, "h.edn"), filepath.Join(dir, "h.jsonl")
	if code, _, errOut := rift(t, "convert", file(t, "h.jsonl", lines), "-o", edn); code != exitValid || errOut != "3 events written\n" {
		t.Fatalf("exit %d, %q", code, errOut)
	}
	if text := read(t, edn); !strings.Contains(text, `:type :fail, :f :cas, :value ["r1" [1 2]], :node "n2", :error "mismatch"}`) {
		t.Errorf("got:\n%s", text)
	}
	if code, _, errOut := rift(t, "convert", "--independent", edn, "--output", back); code != exitValid || read(t, back) != lines {
		t.Errorf("exit %d, %q, came back as:\n%s", code, errOut, read(t, back))
	}
	if _, out, _ := rift(t, "convert", "--to", "jsonl", back); out != lines {
		t.Errorf("JSON lines came out as:\n%s", out)
	}
}

func TestConvertWritesUpToTheDamage(t *testing.T) {
	for name, text := range stale {
		code, out, errOut := rift(t, "convert", "--to", "jsonl", file(t, "history", text))
		if code != exitValid || strings.Count(out, "\n") != 4 || !strings.Contains(errOut, "1 line(s) dropped from line 5 on") {
			t.Errorf("%s: exit %d, %q\n%s", name, code, errOut, out)
		}
	}
}

func TestConvertRefusesWhatEDNCannotSayAndLeavesNothing(t *testing.T) {
	out := filepath.Join(t.TempDir(), "h.edn")
	code, _, errOut := rift(t, "convert", file(t, "h.jsonl", `{"type":"invoke","f":"read it"}`), "-o", out)
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), "*")); code != exitFailed || !strings.Contains(errOut, `f: "read it" given`) || len(left) > 0 {
		t.Errorf("exit %d, %q, left %v", code, errOut, left)
	}
}
