package main

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/spf13/cobra"
)

// echoName is the hidden command that a node of a scratch cluster is: rift echo PORT.
const echoName = "echo"

func (a *app) echoCommand() *cobra.Command {
	return &cobra.Command{
		Use: echoName + " PORT", Short: "Be a node that sends back what it is sent", Hidden: true, Example: "  rift " + echoName + " 7000",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("PORT: %q given, one port wanted", args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return echo(c.Context(), args[0]) },
	}
}

// echo serves until the context ends.
func echo(ctx context.Context, port string) error {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp4", net.JoinHostPort("", port))
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c) // what goes wrong with one connection is its client's affair
		}()
	}
}
