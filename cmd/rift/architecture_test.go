package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const repository = "../.."

// TestImportsFollowTheTable holds the table in docs/architecture.md against what the sources import.
func TestImportsFollowTheTable(t *testing.T) {
	allowed, used := importTable(t), sourceImports(t)
	for pkg, imports := range used {
		row, ok := allowed[pkg]
		if !ok {
			t.Errorf("%s has no row in docs/architecture.md", pkg)
		}
		for _, i := range imports {
			if !slices.Contains(row, i) {
				t.Errorf("%s imports %s, which its row does not allow", pkg, i)
			}
		}
	}
	for pkg, row := range allowed {
		if _, ok := used[pkg]; !ok {
			t.Errorf("the row of %s is of no package", pkg)
		}
		for _, i := range row {
			if !slices.Contains(used[pkg], i) {
				t.Errorf("the row of %s allows %s, which it does not use", pkg, i)
			}
		}
	}
}

// importTable reads the rows: package -> packages that it may import.
func importTable(t *testing.T) map[string][]string {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join(repository, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	table := make(map[string][]string)
	for line := range strings.SplitSeq(string(doc), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !quoted.MatchString(cells[1]) {
			continue
		}
		row := []string{}
		for _, m := range quoted.FindAllStringSubmatch(cells[3], -1) {
			row = append(row, m[1])
		}
		table[quoted.FindStringSubmatch(cells[1])[1]] = row
	}
	if len(table) == 0 {
		t.Fatal("docs/architecture.md has no table")
	}
	return table
}

// sourceImports parses every source that is no test: package -> packages of ours that it imports.
func sourceImports(t *testing.T) map[string][]string {
	t.Helper()
	used := make(map[string][]string)
	err := filepath.WalkDir(repository, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := e.Name(); e.IsDir() && (name == "testdata" || name == "bin" || name != ".." && name != "." && strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), repository+"/")
		used[pkg] = append(used[pkg], []string{}...)
		for _, i := range file.Imports {
			target, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if ours, ok := strings.CutPrefix(target, "rift/"); ok {
				used[pkg] = append(used[pkg], ours)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return used
}
