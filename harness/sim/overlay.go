package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// How the goroutines of a node that could run are put in an order.
const (
	Seeded = "seeded" // as the seed draws
	FIFO   = "fifo"   // the one that could run first runs first, as in any program for WebAssembly
)

// Schedules are the orders that a run can be asked for; the first is the usual one.
var Schedules = []string{Seeded, FIFO}

// scheduleVariable tells a node's program in which order to run its goroutines.
const scheduleVariable = "RIFT_SCHEDULE"

// takesHead is the place in Go's runtime at which a processor takes the next goroutine off its queue, and takesAny is what stands there in its place: before that,
// it exchanges the head of the queue for one that it draws.
const (
	takesHead = `		gp := pp.runq[h%uint32(len(pp.runq))].ptr()
		if atomic.CasRel(&pp.runqhead, h, h+1) { // cas-release, commits consume
			return gp, false
		}
	}
}

// runqdrain `
	takesAny = `		if seededSchedule == 0 {
			seededSchedule = 1
			if gogetenv("` + scheduleVariable + `") == "` + Seeded + `" {
				seededSchedule = 2
			}
		}
		if seededSchedule == 2 && t-h > 1 {
			head, drawn := &pp.runq[h%uint32(len(pp.runq))], &pp.runq[(h+cheaprandn(t-h))%uint32(len(pp.runq))]
			*head, *drawn = *drawn, *head
		}
		gp := pp.runq[h%uint32(len(pp.runq))].ptr()
		if atomic.CasRel(&pp.runqhead, h, h+1) { // cas-release, commits consume
			return gp, false
		}
	}
}

// seededSchedule is 0 before anybody has looked, 1 for the usual order, and 2 for a drawn one.
var seededSchedule int8

// runqdrain `
)

// ErrOtherRuntime is the error of a version of Go whose scheduler is not the one that WriteOverlay knows.
var ErrOtherRuntime = errors.New("the scheduler of this version of Go is another than the one that is known")

// WriteOverlay writes into a folder what `go build -overlay` needs to build a node's program whose goroutines run in an order that the seed draws, from the
// runtime of the Go installation at goroot, and returns the path to give to it. Without it the program is the same but for that.
func WriteOverlay(goroot, dir string) (string, error) {
	original := filepath.Join(goroot, "src", "runtime", "proc.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return "", fmt.Errorf("read Go's scheduler: %w", err)
	}
	if n := bytes.Count(source, []byte(takesHead)); n != 1 {
		return "", fmt.Errorf("%s takes a goroutine off its queue at %d places that are known, not at one: %w", original, n, ErrOtherRuntime)
	}
	patched, path := filepath.Join(dir, "proc.go"), filepath.Join(dir, "overlay.json")
	if patched, err = filepath.Abs(patched); err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{original: patched}})
	if err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	if err := errors.Join(
		os.MkdirAll(dir, 0o755),
		os.WriteFile(patched, bytes.Replace(source, []byte(takesHead), []byte(takesAny), 1), 0o644),
		os.WriteFile(path, b, 0o644),
	); err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	return path, nil
}
