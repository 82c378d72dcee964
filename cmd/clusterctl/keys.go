package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"rift/node"
)

// keyOptions are the flags of the commands that use the store.
type keyOptions struct {
	node    string
	timeout time.Duration
	json    bool
}

func (a *app) keyFlags(c *cobra.Command, o *keyOptions) {
	c.Flags().StringVar(&o.node, "node", "", "ask this node only (an alias; default: each in turn until one answers)")
	c.Flags().DurationVar(&o.timeout, "timeout", 5*time.Second, "how long each node that is asked may take, up to 1m")
	c.Flags().BoolVar(&o.json, "json", false, "print the node's whole answer")
	_ = c.RegisterFlagCompletionFunc("node", a.aliases) // fails only for a flag that does not exist
}

// ask has the nodes carry out a request, and decodes the answer.
func (a *app) ask(c *cobra.Command, o keyOptions, r request, out any) error {
	if o.timeout < time.Millisecond || o.timeout > maxRequestTimeout {
		return usagef("timeout: %s given, 1ms to %s allowed", o.timeout, maxRequestTimeout)
	}
	config, err := loadConfig(a.config)
	if err != nil {
		return err
	}
	var names []string
	if c.Flags().Changed("node") {
		names = []string{o.node}
	}
	nodes, err := config.choose(names)
	if err != nil {
		return err
	}
	answer, err := newClient(o.timeout).ask(c.Context(), nodes, r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		err = fmt.Errorf("read the answer %q: %w", clip(string(answer)), err)
		if r.changes {
			return unknown(err)
		}
		return err
	}
	return nil
}

func (a *app) getCommand() *cobra.Command {
	var o keyOptions
	var stale bool
	c := &cobra.Command{
		Use:   "get KEY",
		Short: "Print the value of a key",
		Long: `Get prints the value of a key and a line end. It is read linearizably: the value is at least as new as any
that anybody has read or written before. With --stale it is what the node has, which may be old.
A key that does not exist is an error.`,
		Example: `  clusterctl get greeting
  clusterctl get greeting --node node3 --stale
  clusterctl get greeting --json | jq .revision`,
		Args: exactly("KEY"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			query := url.Values{}
			if stale {
				query.Set("consistency", "stale")
			}
			var answer struct {
				node.Item
				ClusterRevision uint64 `json:"cluster_revision"`
			}
			err := a.ask(c, o, request{method: http.MethodGet, path: keyPath(args[0]), query: query}, &answer)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(a.out, answer)
			}
			_, err = fmt.Fprintln(a.out, answer.Value)
			return err
		},
	}
	a.keyFlags(c, &o)
	c.Flags().BoolVar(&stale, "stale", false, "read what the node itself has, without asking the leader")
	return c
}

// changeAnswer is what a node answers to a put or a delete.
type changeAnswer struct {
	Key             string `json:"key"`
	Revision        uint64 `json:"revision"` // 0 after a delete
	Existed         bool   `json:"existed"`
	ClusterRevision uint64 `json:"cluster_revision"`
}

const changeHelp = `

The change is sent to each node in turn as long as it certainly has not happened, and never again after that:
exit code 1 means that it did not happen, 2 that nobody knows.`

func (a *app) putCommand() *cobra.Command {
	var o keyOptions
	c := &cobra.Command{
		Use:   "put KEY VALUE",
		Short: "Set a key to a value",
		Long:  "Put sets a key to a value and prints the store's revision." + changeHelp,
		Example: `  clusterctl put greeting "good morning"
  clusterctl put -- -weird- --value--`,
		Args: exactly("KEY", "VALUE"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			return a.change(c, o, request{method: http.MethodPut, path: keyPath(args[0]), body: args[1]})
		},
	}
	a.keyFlags(c, &o)
	return c
}

func (a *app) deleteCommand() *cobra.Command {
	var o keyOptions
	c := &cobra.Command{
		Use:     "delete KEY",
		Short:   "Delete a key",
		Long:    "Delete deletes a key and prints the store's revision. That there is no such key is no error." + changeHelp,
		Example: "  clusterctl delete greeting",
		Args:    exactly("KEY"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			return a.change(c, o, request{method: http.MethodDelete, path: keyPath(args[0])})
		},
	}
	a.keyFlags(c, &o)
	return c
}

// change carries out a put or a delete.
func (a *app) change(c *cobra.Command, o keyOptions, r request) error {
	r.changes = true
	var answer changeAnswer
	if err := a.ask(c, o, r, &answer); err != nil {
		return fmt.Errorf("%s: %w", c.Name(), err)
	}
	if o.json {
		return printJSON(a.out, answer)
	}
	if r.method == http.MethodDelete && !answer.Existed {
		_, err := fmt.Fprintf(a.out, "there was no such key; revision %d\n", answer.ClusterRevision)
		return err
	}
	_, err := fmt.Fprintf(a.out, "revision %d\n", answer.ClusterRevision)
	return err
}
