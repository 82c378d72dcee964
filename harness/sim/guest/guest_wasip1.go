package guest

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// device is the descriptor over which the world and the program exchange frames.
const device = 100

// world is the one device that the program has.
var world = sync.OnceValues(func() (*mux, error) {
	if err := syscall.SetNonblock(device, true); err != nil {
		return nil, fmt.Errorf("open the simulated network: %w", err)
	}
	return newMux(os.NewFile(device, "network")), nil
})

// Terminated is a context that ends when the program is asked to shut down, as SIGTERM asks elsewhere, or when the given one ends.
func Terminated(ctx context.Context) (context.Context, error) {
	m, err := world()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	go func() {
		defer stop()
		select {
		case <-m.stop:
		case <-ctx.Done():
		}
	}()
	return ctx, nil
}

// Listen listens at an address of the form IP:port.
func Listen(address string) (net.Listener, error) {
	m, err := world()
	if err != nil {
		return nil, err
	}
	return m.listen(address)
}

// Dial connects to an address of the form IP:port.
func Dial(ctx context.Context, address string) (net.Conn, error) {
	m, err := world()
	if err != nil {
		return nil, err
	}
	return m.dial(ctx, address)
}
