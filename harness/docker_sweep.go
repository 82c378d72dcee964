package harness

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	dockerclient "github.com/docker/docker/client"
	"github.com/moby/moby/client"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"

	"rift/nemesis/cgroup"
)

// bridgeNamed gives the network's bridge a name that faults and sweeps can know.
func bridgeNamed(name string) tcnetwork.CustomizeNetworkOption {
	return func(o *client.NetworkCreateOptions) error {
		o.Options = map[string]string{"com.docker.network.bridge.name": name}
		return nil
	}
}

// sweepDocker removes the containers and networks of runs that are dead, and says what it removed. Those that were claimed elsewhere are left alone.
func sweepDocker(ctx context.Context, engine *dockerclient.Client) ([]string, error) {
	return removeLabelled(ctx, engine, ownDead)
}

// ownDead says whether the labels are of a run that was claimed here and is dead.
func ownDead(labels map[string]string) bool {
	return labels[labelKeeper] == keeper() && !Alive(labels[labelTag])
}

// removeLabelled removes the containers, and then the networks, of runs whose labels are chosen, and says what it removed. What
// somebody else is removing at the same time is gone as well.
func removeLabelled(ctx context.Context, engine *dockerclient.Client, chosen func(labels map[string]string) bool) (removed []string, err error) {
	ours := filters.NewArgs(filters.Arg("label", labelTag))
	containers, err := engine.ContainerList(ctx, container.ListOptions{All: true, Filters: ours})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var errs []error
	for _, c := range containers {
		if !chosen(c.Labels) {
			continue
		}
		errs = append(errs, thawContainer(ctx, engine, c.ID))
		err := engine.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
			errs = append(errs, fmt.Errorf("remove container %s: %w", c.Names[0], err))
		}
		removed = append(removed, "container "+strings.TrimPrefix(c.Names[0], "/"))
	}
	networks, err := engine.NetworkList(ctx, network.ListOptions{Filters: ours})
	if err != nil {
		return removed, errors.Join(append(errs, fmt.Errorf("list networks: %w", err))...)
	}
	for _, n := range networks {
		if chosen(n.Labels) {
			errs = append(errs, removeNetwork(ctx, engine, n.ID))
			removed = append(removed, "network of "+n.Labels[labelTag])
		}
	}
	return removed, errors.Join(errs...)
}

// thawContainer thaws a container that a fault has frozen behind the engine's back: the engine could not kill it.
func thawContainer(ctx context.Context, engine *dockerclient.Client, id string) error {
	seen, err := engine.ContainerInspect(ctx, id)
	if err != nil || seen.State == nil || seen.State.Pid == 0 {
		return nil // it has gone, or does not run
	}
	path, err := cgroup.OfProcess(seen.State.Pid, id)
	if err != nil {
		return nil // it has just ended
	}
	return thaw(path)
}

// removeNetwork tries for as long as the engine still counts endpoints of containers that were just removed.
func removeNetwork(ctx context.Context, engine *dockerclient.Client, id string) error {
	const between, most = 100 * time.Millisecond, 50
	for try := 0; ; try++ {
		err := engine.NetworkRemove(ctx, id)
		if err == nil || errdefs.IsNotFound(err) {
			return nil
		}
		if try == most || !pause(ctx, between) {
			return fmt.Errorf("remove network %s: %w", id, err)
		}
	}
}
