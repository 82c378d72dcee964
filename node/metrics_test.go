package node

import (
	"strings"
	"testing"
	"time"
)

func TestMetricsTellWhatTheNodeDid(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.must("n1", "PUT", "/v1/kv/x", "y")
	c.nodes["n1"].metrics.request("GET /v1/kv/{key...}", "timeout", time.Second)
	body := c.must("n1", "GET", "/metrics", "").body
	for _, want := range []string{
		"rift_is_leader 1", "rift_revision 1", "rift_restores_total 0", "rift_forwarded_total 0", "rift_leader_changes_total ", "rift_entry_commands_count ",
		`rift_request_seconds_count{outcome="ok",route="PUT /v1/kv/{key...}"} 1`, `rift_request_seconds_bucket{outcome="timeout",route="GET /v1/kv/{key...}",le="1.6384"} 1`,
		"go_goroutines ", "process_start_time_seconds ",
	} {
		if !strings.Contains(body, "\n"+want) {
			t.Errorf("%s is missing in\n%s", want, body)
		}
	}
}
