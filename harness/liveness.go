package harness

import (
	"context"
	"fmt"
	"time"

	"rift/harness/gen"
	"rift/harness/history"
)

// livenessPhase leaves the core of the plan in peace and breaks every other node for good, and lets the clients go on with the main phase's load for the
// time within which they must be served. In the end all is healed. Without such a phase in the test it does nothing.
func (r *run) livenessPhase(ctx context.Context) error {
	within := time.Duration(r.Test.Liveness)
	if within <= 0 {
		return nil
	}
	end := r.phase.begin(history.LivenessPhase, within)
	for _, node := range r.Plan.Core {
		if why := r.cluster.board.Kept(node); why != "" {
			end(fmt.Sprintf("%s, which was to be left in peace, stays down: %s", node, why))
			return nil
		}
	}
	ended, err := r.cluster.raise(ctx, r.Plan.Core)
	if err != nil {
		end("failed: " + err.Error())
		return fmt.Errorf("start what is to be left in peace: %w", err)
	}
	release := r.faults.Hold(ctx, inPhase(r.Plan.Faults, history.LivenessPhase))
	driving, cancel := context.WithTimeout(ctx, within+2*time.Duration(r.Test.OpTimeout))
	defer cancel()
	until := r.record.Now() - r.loaded + within
	r.driver.driveSince(driving, r.loaded, gen.Until(until, r.left), r.Test.Concurrency)
	if err := release(); err != nil {
		end("failed: " + err.Error())
		return r.notHealed(ctx, err)
	}
	switch {
	case ctx.Err() != nil:
		end(interruption(ctx))
		return ctx.Err()
	case len(ended) > 0:
		end(fmt.Sprintf("%v had ended by themselves and were started again", ended))
	default:
		end("")
	}
	return nil
}

// inPhase are the faults of one phase of a plan.
func inPhase(plan []history.PlannedFault, phase string) []history.PlannedFault {
	var faults []history.PlannedFault
	for _, f := range plan {
		if f.Phase == phase {
			faults = append(faults, f)
		}
	}
	return faults
}
