package node

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestHistogramsCount(t *testing.T) {
	h := histogram{unit: 1}
	for _, v := range []float64{0.5, 1, 3, 4, 1e9} {
		h.observe(v)
	}
	var b strings.Builder
	h.write(&b, "h", `x="y",`)
	for _, want := range []string{`h_bucket{x="y",le="1"} 2`, `h_bucket{x="y",le="2"} 2`, `h_bucket{x="y",le="4"} 4`, `h_bucket{x="y",le="+Inf"} 5`, `h_sum{x="y"} 1.0000000085e+09`, `h_count{x="y"} 5`} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("%s is missing in\n%s", want, b.String())
		}
	}
}

// Every line of /metrics must be one that Prometheus can read, and every series must have its help.
func TestMetricsAreInPrometheusFormat(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.must("n1", "PUT", "/v1/kv/x", "y")
	c.nodes["n1"].metrics.request("GET /v1/kv/{key...}", "timeout", time.Second)
	body := c.must("n1", "GET", "/metrics", "").body
	line := regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [-+0-9.e]+)$`)
	for l := range strings.Lines(body) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) {
			t.Errorf("not in the format: %s", l)
		}
	}
	for _, want := range []string{"rift_is_leader 1", "rift_revision 1", "rift_entry_commands_count ", `rift_request_seconds_count{route="PUT /v1/kv/{key...}",outcome="ok"} 1`, `outcome="timeout"} 1`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing in\n%s", want, body)
		}
	}
}
