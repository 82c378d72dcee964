package node

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// testdata/api.txt is a conversation with a node that is alone in its cluster. Lines that begin with
// "> " are requests: method, target, body. What follows is the answer. Addresses are replaced by HTTP
// and RAFT, indexes that depend on elections by #.
func TestTheHTTPInterface(t *testing.T) {
	path := filepath.Join("testdata", "api.txt")
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := newCluster(t, 1, func(c *Config) { c.ClusterID = "test" })
	n := c.nodes["n1"]
	hide := strings.NewReplacer(n.config.HTTPAddr, "HTTP", n.config.RaftAddr, "RAFT")
	numbers := regexp.MustCompile(`"(term|[a-z_]*index)":\d+`)
	many := `{"then":[` + strings.Repeat(`{"op":"get","key":"a"},`, maxSteps) + `{"op":"get","key":"a"}]}`
	var got strings.Builder
	for line := range strings.Lines(string(script)) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "#") || line == "" {
			got.WriteString(line + "\n")
		}
		request, ok := strings.CutPrefix(line, "> ")
		if !ok {
			continue
		}
		parts := append(strings.SplitN(request, " ", 3), "", "")
		body := strings.NewReplacer("RAFT", n.config.RaftAddr, "LONGKEY", strings.Repeat("x", maxKey+1), "MANY", many, "LONG", strings.Repeat("x", maxBody+1), `\xff`, "\xff").Replace(parts[2])
		target := strings.Replace(parts[1], "LONG", strings.Repeat("x", maxKey+1), 1)
		a := c.call("n1", parts[0], target, body)
		if a.err != nil {
			t.Fatalf("%s: %v", line, a.err)
		}
		answer := numbers.ReplaceAllString(hide.Replace(strings.TrimRight(a.body, "\n")), `"$1":#`)
		fmt.Fprintf(&got, "%s\n%s\n", line, strings.TrimSpace(fmt.Sprint(a.status, " ", answer)))
	}
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(script) {
		t.Errorf("the answers have changed (rewrite with -update, and look):\n%s", got.String())
	}
}
