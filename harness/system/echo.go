package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"rift/harness"
	"rift/harness/history"
)

// echoPort is where the nodes of Echo listen.
const echoPort = 7000

// Echo is no store, but a cluster of nodes that send back what they are sent: a subject for faults that need nothing but processes, a network and disks. Its
// first node is said to lead.
type Echo struct {
	Program string // that listens on the port, and writes to the folder, which come behind its arguments
	Args    []string
}

// Name is "echo".
func (Echo) Name() string { return "echo" }

// Doc is a line for people.
func (Echo) Doc() string { return "Nodes that send back what they are sent" }

// Functions are none.
func (Echo) Functions() []string { return nil }

// Bugs are none.
func (Echo) Bugs() []harness.Bug { return nil }

// PeerPort is the port on which nodes listen.
func (Echo) PeerPort() uint16 { return echoPort }

// Launch starts the program. It is to write to its data directory where the disk is one that can be broken.
func (s Echo) Launch(n harness.Node, _ []harness.Node, t history.Test) (harness.Launch, error) {
	args := append(s.Args[:len(s.Args):len(s.Args)], fmt.Sprint(echoPort))
	if t.Disk != "" {
		args = append(args, n.Data)
	}
	return harness.Launch{Program: s.Program, Args: args}, nil
}

// Form waits until every node answers.
func (s Echo) Form(ctx context.Context, all []harness.Node) error {
	const between = 20 * time.Millisecond
	for _, n := range all {
		for {
			_, err := s.View(ctx, n)
			if err == nil {
				break
			}
			select {
			case <-time.After(between):
			case <-ctx.Done():
				return fmt.Errorf("wait for %s to answer: %w: %w", n.Name, ctx.Err(), err)
			}
		}
	}
	return nil
}

// Open fails: nobody has anything to ask of these nodes.
func (Echo) Open(context.Context, harness.Node, history.Test) (harness.Client, error) {
	return nil, errors.New("echo nodes have no clients")
}

// View asks a node for an echo.
func (Echo) View(ctx context.Context, n harness.Node) (history.View, error) {
	dialer := net.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: n.From.AsSlice()}}
	c, err := dialer.DialContext(ctx, "tcp4", address(n, echoPort))
	if err != nil {
		return history.View{}, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return history.View{}, err
	}
	sent, got := []byte(n.Name), make([]byte, len(n.Name))
	if _, err := c.Write(sent); err != nil {
		return history.View{}, err
	}
	if _, err := io.ReadFull(c, got); err != nil {
		return history.View{}, err
	}
	if n.Name == "n1" {
		return history.View{State: harness.StateLeader, Leader: n.Name}, nil
	}
	return history.View{State: "follower", Leader: "n1"}, nil
}
