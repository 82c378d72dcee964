package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
)

// A nodeStatus is one row of the table.
type nodeStatus struct {
	Alias   string `json:"alias"`
	PID     int    `json:"pid"` // 0: start has not started it, or it has ended
	HTTP    string `json:"http"`
	RPC     string `json:"rpc"`
	State   string `json:"state"`  // leader, follower, candidate; silent: it runs, but does not answer; down
	Leader  string `json:"leader"` // as far as this node knows
	Term    uint64 `json:"term"`
	Applied uint64 `json:"applied"` // index of the last log entry that its state machine has seen
	Problem string `json:"problem,omitempty"`
}

func (s nodeStatus) answers() bool { return s.Problem == "" }

func (a *app) statusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the nodes, and who leads",
		Long: `Status shows each node's process, addresses, state, the leader that it knows, its term, and the last log
entry that it has applied. A node is silent if its process runs and does not answer, and down if there is none.
The exit code is 0 only if every node answers and one of them leads.`,
		Example: `  clusterctl status
  clusterctl status --json | jq -r .leader`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := loadConfig(a.config)
			if err != nil {
				return err
			}
			return a.status(c.Context(), config, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) status(ctx context.Context, c *config, asJSON bool) error {
	nodes := survey(ctx, c.replicas)
	leader := currentLeader(nodes)
	var problems []error
	for _, n := range nodes {
		if !n.answers() {
			problems = append(problems, fmt.Errorf("%s: %s", n.Alias, n.Problem))
		}
	}
	if leader == "" {
		problems = append(problems, errors.New("no node leads"))
	}
	var err error
	if asJSON {
		err = printJSON(a.out, struct {
			Healthy bool         `json:"healthy"`
			Leader  string       `json:"leader"`
			Nodes   []nodeStatus `json:"nodes"`
		}{len(problems) == 0, leader, nodes})
	} else {
		err = a.statusTable(nodes)
	}
	return errors.Join(append(problems, err)...)
}

func (a *app) statusTable(nodes []nodeStatus) error {
	rows := [][]string{{"ALIAS", "PID", "HTTP", "RPC", "STATE", "LEADER", "TERM", "APPLIED"}}
	for _, n := range nodes {
		term, applied := "-", "-"
		if n.answers() {
			term, applied = strconv.FormatUint(n.Term, 10), strconv.FormatUint(n.Applied, 10)
		}
		pid := "-"
		if n.PID > 0 {
			pid = strconv.Itoa(n.PID)
		}
		rows = append(rows, []string{n.Alias, pid, n.HTTP, n.RPC, n.State, orDash(n.Leader), term, applied})
	}
	colour := func(row int) string {
		switch {
		case row == 0:
			return "1" // bold
		case !nodes[row-1].answers():
			return "31" // red
		case nodes[row-1].State == "leader":
			return "32" // green
		}
		return ""
	}
	return printTable(a.out, rows, colour)
}

// survey asks all nodes at the same time.
func survey(ctx context.Context, nodes []replica) []nodeStatus {
	client := newClient(probeTimeout)
	answers := make([]nodeStatus, len(nodes))
	var asking sync.WaitGroup
	for i, r := range nodes {
		asking.Go(func() { answers[i] = r.status(ctx, client) })
	}
	asking.Wait()
	return answers
}

func (r replica) status(ctx context.Context, c *client) nodeStatus {
	s := nodeStatus{Alias: r.alias, HTTP: r.http, RPC: r.rpc, State: "down"}
	p, errProcess := findProcess(r)
	if p != nil {
		s.PID, s.State = p.pid, "silent"
		p.close()
	}
	answer, err := c.status(ctx, r)
	if err != nil {
		s.Problem = errors.Join(errProcess, err).Error()
		return s
	}
	s.State, s.Leader, s.Term, s.Applied = answer.State, answer.Leader.ID, answer.Term, answer.AppliedIndex
	return s
}

// currentLeader is the node that leads in the highest term, or "". A leader that was cut off can take
// itself for one in an earlier term for a moment.
func currentLeader(nodes []nodeStatus) string {
	leader, term := "", uint64(0)
	for _, n := range nodes {
		if n.State == "leader" && n.Term > term {
			leader, term = n.Alias, n.Term
		}
	}
	return leader
}

// printTable aligns rows, and colours them if they go to a terminal.
func printTable(w io.Writer, rows [][]string, colour func(row int) string) error {
	var text strings.Builder
	aligned := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(aligned, strings.Join(row, "\t"))
	}
	aligned.Flush() // cannot fail: it writes to memory
	for i, line := range strings.SplitAfter(strings.TrimSuffix(text.String(), "\n"), "\n") {
		if code := colour(i); code != "" && onTerminal(w) {
			line = "\x1b[" + code + "m" + strings.TrimSuffix(line, "\n") + "\x1b[0m"
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// onTerminal says whether w is a terminal that wants colours.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
