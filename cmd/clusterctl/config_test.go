package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// paperConfig is the configuration of the original store.
const paperConfig = `data_dir: var
bin_path: bin
cluster:
  - alias: node1
    http_address: "127.0.0.1:8080"
    rpc_address: "127.0.0.1:9000"
  - alias: node2
    http_address: "127.0.0.1:8081"
    rpc_address: "127.0.0.1:9001"
leader: node1
`

func TestConfigOfTheOriginalStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yml")
	if err := os.WriteFile(path, []byte(paperConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(path))
	c, err := loadConfig("config.yml")
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if c.dataDir != filepath.Join(here, "var") || c.binPath != filepath.Join(here, "bin") || c.leader != "node1" {
		t.Errorf("got %+v", c)
	}
	want := []replica{
		{"node1", "127.0.0.1:8080", "127.0.0.1:9000", filepath.Join(here, "var", "node1")},
		{"node2", "127.0.0.1:8081", "127.0.0.1:9001", filepath.Join(here, "var", "node2")},
	}
	if !slices.Equal(c.replicas, want) {
		t.Errorf("got %v, want %v", c.replicas, want)
	}
}

func TestConfigMistakes(t *testing.T) {
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(paperConfig) }
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", `c.yaml:1: nothing given, a mapping with the fields data_dir, bin_path, leader, cluster expected`},
		{"only a comment", "# soon\n", `c.yaml:1: nothing given, a mapping with the fields data_dir, bin_path, leader, cluster expected`},
		{"null", "null\n", `c.yaml:1: nothing given, a mapping with the fields data_dir, bin_path, leader, cluster expected`},
		{"not YAML", "data_dir: var\n\tleader: x\n", `c.yaml:2: not YAML: found a tab character that violates indentation`},
		{"a list", "- a\n", `c.yaml:1: a list given, a mapping with the fields data_dir, bin_path, leader, cluster expected`},
		{"a text", "\nhello\n", `c.yaml:2: "hello" given, a mapping with the fields data_dir, bin_path, leader, cluster expected`},
		{"two documents", paperConfig + "---\nx: 1\n", `c.yaml:11: a second document given, one allowed`},
		{"unknown field", replace("data_dir", "datadir"), `c.yaml:1: unknown field "datadir"; did you mean "data_dir"? allowed: data_dir, bin_path, leader, cluster`},
		{"field twice", paperConfig + "leader: node2\n", `c.yaml:11: leader given twice, first on line 10`},
		{"data_dir empty", replace("data_dir: var", "data_dir:"), `c.yaml:1: data_dir: nothing given, a folder expected`},
		{"bin_path a list", replace("bin_path: bin", "bin_path: [bin]"), `c.yaml:2: bin_path: a list given, the node's program or its folder expected`},
		{"no leader", replace("leader: node1\n", ""), `c.yaml:1: leader: missing; the alias of the node that founds the cluster expected`},
		{"leader a mapping", replace("leader: node1", "leader: {a: b}"), `c.yaml:10: leader: a mapping given, the alias of the node that founds the cluster expected`},
		{"unknown leader", replace("leader: node1", "leader: nod2"), `c.yaml:10: leader: "nod2" given; did you mean "node2"? allowed: node1, node2`},
		{"no cluster", "leader: a\n", `c.yaml:1: cluster: missing; a list of nodes with alias, http_address, rpc_address expected`},
		{"cluster a text", "leader: a\ncluster: 5\n", `c.yaml:2: cluster: "5" given, a list of nodes with alias, http_address, rpc_address expected`},
		{"cluster empty", "cluster: []\nleader: a\n", `c.yaml:1: cluster: an empty list given, at least one node expected`},
		{"node a text", "leader: node1\ncluster: [node1]\n", `c.yaml:2: cluster[0]: "node1" given, a mapping with the fields alias, http_address, rpc_address expected`},
		{"node null", replace("leader: node1", "  -\nleader: node1"), `c.yaml:10: cluster[2]: nothing given, a mapping with the fields alias, http_address, rpc_address expected`},
		{"node's unknown field", replace("alias: node2", "alias: node2\n    port: 1"), `c.yaml:8: cluster[1]: unknown field "port"; allowed: alias, http_address, rpc_address`},
		{"node's field twice", replace("alias: node2", "alias: node2\n    alias: node3"), `c.yaml:8: cluster[1]: alias given twice, first on line 7`},
		{"no alias", replace("alias: node2\n    ", ""), `c.yaml:7: cluster[1].alias: missing; a name expected`},
		{"alias empty", replace("alias: node2", `alias: ""`), `c.yaml:7: cluster[1].alias: nothing given, a name expected`},
		{"alias with a slash", replace("alias: node2", "alias: a/b"), `c.yaml:7: cluster[1].alias: "a/b" given, 1 to 64 characters of [A-Za-z0-9._-] allowed`},
		{"alias too long", replace("alias: node2", "alias: "+strings.Repeat("x", 65)), `c.yaml:7: cluster[1].alias: "` + strings.Repeat("x", 65) + `" given, 1 to 64 characters of [A-Za-z0-9._-] allowed`},
		{"alias of the folder above", replace("alias: node2", "alias: .."), `c.yaml:7: cluster[1].alias: ".." given, which is no name for a folder`},
		{"alias twice", replace("alias: node2", "alias: node1"), `c.yaml:7: cluster[1].alias: "node1" given, the node on line 4 has it already`},
		{"no address", replace("    rpc_address: \"127.0.0.1:9001\"\n", ""), `c.yaml:7: cluster[1].rpc_address: missing; IP:port, such as 127.0.0.1:8080 expected`},
		{"address without a port", replace("127.0.0.1:8081", "127.0.0.1"), `c.yaml:8: cluster[1].http_address: "127.0.0.1" given, IP:port expected, such as 127.0.0.1:8080`},
		{"address by name", replace("127.0.0.1:8081", "localhost:8081"), `c.yaml:8: cluster[1].http_address: "localhost:8081" given, IP:port expected, such as 127.0.0.1:8080`},
		{"port 0", replace("127.0.0.1:8081", "127.0.0.1:0"), `c.yaml:8: cluster[1].http_address: "127.0.0.1:0" given, IP:port expected, such as 127.0.0.1:8080`},
		{"no interface", replace("127.0.0.1:8081", "0.0.0.0:8081"), `c.yaml:8: cluster[1].http_address: "0.0.0.0:8081" given, which names no interface; the other nodes are told this address, so it must be a concrete one`},
		{"address twice", replace("127.0.0.1:9001", "127.0.0.1:8080"), `c.yaml:9: cluster[1].rpc_address: "127.0.0.1:8080" given, cluster[0].http_address has it already`},
		{"address twice in another form", replace("127.0.0.1:9001", "[::ffff:127.0.0.1]:8080"), `c.yaml:9: cluster[1].rpc_address: "[::ffff:127.0.0.1]:8080" given, cluster[0].http_address has it already`},
		{"several mistakes", replace("data_dir", "dir", "8081", "x", "leader: node1", "leader: node"), `c.yaml:1: unknown field "dir"; allowed: data_dir, bin_path, leader, cluster` + "\n" +
			`c.yaml:8: cluster[1].http_address: "127.0.0.1:x" given, IP:port expected, such as 127.0.0.1:8080` + "\n" +
			`c.yaml:10: leader: "node" given; did you mean "node1"? allowed: node1, node2`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseConfig("c.yaml", []byte(test.text))
			if err == nil || err.Error() != test.want {
				t.Errorf("got\n%v\nwant\n%s", err, test.want)
			}
		})
	}
}

// YAML's anchors stand for what they name, and paths that are not given have the original defaults.
func TestConfigAnchorsAndDefaults(t *testing.T) {
	c, err := parseConfig("c.yaml", []byte("leader: *one\ncluster: [{alias: &one n1, http_address: '[::1]:1', rpc_address: 127.0.0.1:2}]\n"))
	if err == nil {
		t.Fatalf("an anchor that comes later was accepted: %+v", c)
	}
	c, err = parseConfig("c.yaml", []byte("cluster: [{alias: &one 1, http_address: '[::1]:1', rpc_address: 127.0.0.1:2}]\nleader: *one\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.dataDir != "var" || c.binPath != "bin" || c.leader != "1" {
		t.Errorf("got %+v", c)
	}
}

// FuzzConfig: the parser never panics, each line of its error names the file and a line, and what it
// accepts holds what the rest of the program relies on.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(paperConfig))
	f.Add([]byte("leader: *a\ncluster: &a [*a, {alias: &b x, <<: *b}]\n"))
	f.Add([]byte("? [a]\n: b\n"))
	f.Add([]byte("cluster: !!binary aGk=\n--- \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig("c.yaml", data)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "c.yaml:") || bytes.ContainsAny([]byte(line), "\x00\r") {
					t.Errorf("a line of the error is %q", line)
				}
			}
			return
		}
		if err := c.locate(); err != nil {
			t.Fatal(err)
		}
		aliases, folders := map[string]bool{}, map[string]bool{}
		for _, r := range c.replicas {
			if filepath.Dir(r.dir) != c.dataDir {
				t.Errorf("the folder %q is not below %q", r.dir, c.dataDir)
			}
			aliases[r.alias], folders[r.dir] = true, true
		}
		if len(aliases) != len(c.replicas) || len(folders) != len(c.replicas) || c.founder().alias != c.leader {
			t.Errorf("accepted %+v", c)
		}
	})
}
