// Command echo answers each connection with its first argument. Tests run it as a node.
package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	listener, err := net.Listen("tcp4", ":7000")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(os.Args[1], "listens")
	for {
		c, err := listener.Accept()
		if err != nil {
			os.Exit(1)
		}
		fmt.Fprintln(c, os.Args[1])
		c.Close()
	}
}
