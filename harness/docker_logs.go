package harness

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/docker/docker/api/types/container"
	dockerclient "github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
)

// logGrace bounds how long the engine may take to hand over the rest of a dead container's log.
const logGrace = 5 * time.Second

// logFollower copies one life of a container's output to the node's log, as it comes.
type logFollower struct {
	done   chan struct{}
	cancel context.CancelFunc
}

// followLogs starts to copy. began is before the start of this life, and after the end of the one before. The engine stamps
// lines with this machine's clock, since images and data are bound from here.
func followLogs(engine *dockerclient.Client, id string, began time.Time, path string, log *slog.Logger) (*logFollower, error) {
	ctx, cancel := context.WithCancel(context.Background())
	output, err := engine.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: true, Since: began.Format(time.RFC3339Nano)})
	if err != nil {
		cancel()
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		cancel()
		output.Close()
		return nil, err
	}
	f := &logFollower{done: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(f.done)
		defer output.Close()
		if err := copyLog(file, output); err != nil && ctx.Err() == nil {
			log.Warn("a node's log is incomplete", "file", path, "error", err)
		}
	}()
	return f, nil
}

func copyLog(file *os.File, output io.Reader) error {
	_, err := stdcopy.StdCopy(file, file, output)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("copy log: %w", err)
	}
	return nil
}

// wait returns when the rest of a dead container's output has been copied.
func (f *logFollower) wait() {
	timer := time.AfterFunc(logGrace, f.cancel)
	<-f.done
	timer.Stop()
	f.cancel()
}
