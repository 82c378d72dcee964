package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// echoName is the hidden command that a node of a scratch cluster is: rift echo PORT [FOLDER].
const echoName = "echo"

func (a *app) echoCommand() *cobra.Command {
	return &cobra.Command{
		Use: echoName + " PORT [FOLDER]", Short: "Be a node that sends back what it is sent, and keeps writing to a folder", Hidden: true, Example: "  rift " + echoName + " 7000",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return usagef("PORT: %q given, a port and perhaps a folder wanted", args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 2 {
				go keepWriting(c.Context(), args[1])
			}
			return echo(c.Context(), args[0])
		},
	}
}

// keepWriting makes files in a folder, syncs them and reads them back, a few at a time and over and over, until the context ends. What fails is done again: a
// fault on the disk is to be met, not to be minded.
func keepWriting(ctx context.Context, folder string) {
	const (
		files = 10
		size  = 8 << 10
		every = 10 * time.Millisecond
	)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		path := filepath.Join(folder, fmt.Sprint("file", i%files))
		_ = writeAndRead(path, bytes.Repeat([]byte{byte(i)}, size)) // see above
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// writeAndRead makes a file anew.
func writeAndRead(path string, content []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	_, err = os.ReadFile(path)
	return err
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
