package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rift/nemesis"
)

// TestDocsAreFresh also runs the example in docs/histories.md.
func TestDocsAreFresh(t *testing.T) {
	docs := filepath.Join(repository, "docs")
	for name := range parts() {
		want, err := generated(docs, name)
		if err != nil {
			t.Fatal(err)
		}
		if read(t, filepath.Join(docs, name)) != want {
			t.Errorf("docs/%s is stale: run `make docs`", name)
		}
	}
	example := read(t, filepath.Join(docs, "histories.md"))
	if !strings.Contains(example, "✗ INVALID") || !strings.Contains(example, "The exit code is 1.") {
		t.Error("the example in docs/histories.md shows no violation")
	}
}

func TestDocsWritesTheParts(t *testing.T) {
	docs := t.TempDir()
	if err := os.CopyFS(docs, os.DirFS(filepath.Join(repository, "docs"))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(docs, "checkers.md")
	fresh := read(t, path)
	head, rest, _ := strings.Cut(fresh, "| checker |")
	_, tail, _ := strings.Cut(rest, "<!-- end checkers -->")
	if err := os.WriteFile(path, []byte(head+"stale <!-- end checkers -->"+tail), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := rift(t, "docs", docs); code != exitValid || read(t, path) != fresh {
		t.Errorf("exit %d, %s; the table did not come back", code, errOut)
	}
	if err := os.WriteFile(path, []byte("nothing"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := rift(t, "docs", docs); code != exitFailed || !strings.Contains(errOut, "has no place for its part") {
		t.Errorf("exit %d, %s", code, errOut)
	}
}

// TestEveryFaultIsDescribed wants what docs/faults.md shows of each kind.
func TestEveryFaultIsDescribed(t *testing.T) {
	for _, k := range nemesis.Kinds {
		if k.Doc == "" || k.How == "" || k.Proof == "" || len(k.Targets) == 0 {
			t.Errorf("%s: Doc, Targets, How and Proof must all be given: %+v", k.Name, k)
		}
	}
}

// TestEveryCheckerIsAccountedFor wants a row in accounts for each type that is a checker, and that the files named there are there.
func TestEveryCheckerIsAccountedFor(t *testing.T) {
	var accounted []string
	for _, a := range accounts {
		accounted = append(accounted, a.code)
		for _, file := range []string{a.rejects, a.accepts} {
			if _, err := os.Stat(filepath.Join(repository, file)); err != nil {
				t.Errorf("%s: %v", a.name, err)
			}
		}
	}
	for _, proof := range modelProofs {
		for _, file := range proof {
			if _, err := os.Stat(filepath.Join(repository, file)); err != nil {
				t.Error(err)
			}
		}
	}
	found := slices.Concat(checkerTypes(t, "checker"), checkerTypes(t, "checker/txn"))
	for _, code := range found {
		if !slices.Contains(accounted, code) {
			t.Errorf("%s has no row in accounts (cmd/rift/accounts.go)", code)
		}
	}
	for _, code := range accounted {
		if !slices.Contains(found, code) {
			t.Errorf("the row of %s is of no checker", code)
		}
	}
}

// checkerTypes are the types of a package with an exported method Check, as package.Type.
func checkerTypes(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository, dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources in %s: %v", dir, err)
	}
	var types []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range source.Decls {
			f, is := d.(*ast.FuncDecl)
			if !is || f.Recv == nil || f.Name.Name != "Check" {
				continue
			}
			receiver := f.Recv.List[0].Type
			if p, is := receiver.(*ast.StarExpr); is {
				receiver = p.X
			}
			types = append(types, source.Name.Name+"."+receiver.(*ast.Ident).Name)
		}
	}
	return types
}
