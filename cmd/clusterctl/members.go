package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// A member is a node as the cluster knows it.
type member struct {
	ID    string `json:"id"`
	HTTP  string `json:"http"` // "" until the node has told it
	Raft  string `json:"raft"`
	Voter bool   `json:"voter"`
}

type memberList struct {
	Members []member `json:"members"`
}

func (l memberList) sort() {
	slices.SortFunc(l.Members, func(a, b member) int { return strings.Compare(a.ID, b.ID) })
}

func (a *app) membersCommand() *cobra.Command {
	var o keyOptions
	c := &cobra.Command{
		Use:   "members",
		Short: "List the members of the cluster, or remove one",
		Long: `Members lists the nodes that the cluster consists of, as the first node that answers knows them: voters, and
nonvoters, which are still catching up. A node becomes a member when it is started and its request to join is
granted.`,
		Example: `  clusterctl members
  clusterctl members --json
  clusterctl members remove node5`,
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := a.members(c, o)
			if err != nil {
				return err
			}
			return a.printMembers(list, o.json)
		},
	}
	a.keyFlags(c, &o)
	c.AddCommand(a.removeMemberCommand())
	c.Args = subcommandOf(c)
	return c
}

func (a *app) removeMemberCommand() *cobra.Command {
	var o keyOptions
	c := &cobra.Command{
		Use:   "remove ALIAS",
		Short: "Remove a node from the cluster",
		Long: `Remove removes a member from the cluster, runs or not, unless the rest would have no live majority. Its process
goes on; stop it before. To have the node join again, delete its data (data_dir/ALIAS/data) and start it.` + changeHelp,
		Example: `  clusterctl stop node5
  clusterctl members remove node5`,
		Args: exactly("ALIAS"), ValidArgsFunction: a.aliases,
		RunE: func(c *cobra.Command, args []string) error {
			list, err := a.members(c, o)
			if err != nil {
				return err
			}
			var ids []string
			for _, m := range list.Members {
				ids = append(ids, m.ID)
			}
			if !slices.Contains(ids, args[0]) {
				return usagef("member: %q given%s", args[0], nearest(args[0], ids))
			}
			r := request{method: http.MethodDelete, path: "/v1/members/" + url.PathEscape(args[0]), changes: true}
			if err := a.ask(c, o, r, &list); err != nil {
				return fmt.Errorf("remove %s: %w", args[0], err)
			}
			list.sort()
			return a.printMembers(list, o.json)
		},
	}
	a.keyFlags(c, &o)
	return c
}

func (a *app) members(c *cobra.Command, o keyOptions) (list memberList, err error) {
	err = a.ask(c, o, request{method: http.MethodGet, path: "/v1/members"}, &list)
	list.sort()
	return list, err
}

func (a *app) printMembers(list memberList, asJSON bool) error {
	if asJSON {
		return printJSON(a.out, list)
	}
	rows := [][]string{{"ID", "ROLE", "HTTP", "RAFT"}}
	for _, m := range list.Members {
		role := "nonvoter"
		if m.Voter {
			role = "voter"
		}
		rows = append(rows, []string{m.ID, role, orDash(m.HTTP), m.Raft})
	}
	return printTable(a.out, rows, func(row int) string {
		if row == 0 {
			return "1"
		}
		return ""
	})
}
