package harness

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker/docker/api/types/container"
)

// Relaunch makes the container of a node that is down anew, with the same name, address and data directory.
func (d *Docker) Relaunch(ctx context.Context, node string, l Launch) error {
	n, err := d.idle(node)
	if err != nil {
		return fmt.Errorf("relaunch %s: %w", node, err)
	}
	d.down(n) // a container that ended by itself may still be followed
	d.mu.Lock()
	old := n.container
	n.container = nil
	d.mu.Unlock()
	if old != nil {
		if err := d.engine.ContainerRemove(ctx, old.GetContainerID(), container.RemoveOptions{Force: true}); err != nil {
			return fmt.Errorf("relaunch %s: remove its container: %w", node, err)
		}
	}
	made, err := d.makeContainer(ctx, n, l)
	if err != nil {
		return fmt.Errorf("relaunch %s: %w", node, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n.container = made
	return nil
}

// Wipe removes all data of a node that is down.
func (d *Docker) Wipe(_ context.Context, node string) error {
	if _, err := d.idle(node); err != nil {
		return fmt.Errorf("wipe %s: %w", node, err)
	}
	return emptyFolder(d.hostData(node))
}

// idle is a node that must not run.
func (d *Docker) idle(node string) (*dockerNode, error) {
	if h, up := d.Host(node); up {
		return nil, fmt.Errorf("it runs, as process %d", h.PID)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.containers[node]
	if n == nil {
		return nil, errors.New("this cluster does not have it")
	}
	return n, nil
}
