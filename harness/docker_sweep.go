package harness

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	dockerclient "github.com/docker/docker/client"
	"github.com/moby/moby/client"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"
)

// bridgeNamed gives the network's bridge a name that faults and sweeps can know.
func bridgeNamed(name string) tcnetwork.CustomizeNetworkOption {
	return func(o *client.NetworkCreateOptions) error {
		o.Options = map[string]string{"com.docker.network.bridge.name": name}
		return nil
	}
}

func removeContainer(ctx context.Context, engine *dockerclient.Client, id string) error {
	err := engine.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// sweepDocker removes the containers and networks of runs that are dead, which it tells by their labels, and says what it removed.
func sweepDocker(ctx context.Context, engine *dockerclient.Client) ([]string, error) {
	ours := filters.NewArgs(filters.Arg("label", labelTag))
	containers, err := engine.ContainerList(ctx, container.ListOptions{All: true, Filters: ours})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var removed []string
	var errs []error
	for _, c := range containers {
		if Alive(c.Labels[labelTag]) {
			continue
		}
		errs = append(errs, removeContainer(ctx, engine, c.ID))
		removed = append(removed, "container "+strings.TrimPrefix(c.Names[0], "/"))
	}
	networks, err := engine.NetworkList(ctx, network.ListOptions{Filters: ours})
	if err != nil {
		return removed, errors.Join(append(errs, fmt.Errorf("list networks: %w", err))...)
	}
	for _, n := range networks {
		if Alive(n.Labels[labelTag]) {
			continue
		}
		errs = append(errs, engine.NetworkRemove(ctx, n.ID))
		removed = append(removed, "network of "+n.Labels[labelTag])
	}
	return removed, errors.Join(errs...)
}
