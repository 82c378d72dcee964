package nemesis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"rift/harness/history"
)

// Swarm draws the faults of a main phase more widely than Schedule: some of the kinds, some of each one's targets, into how many lanes they
// go, how dense each lane is, and the lengths of windows. What is left out makes as much of a difference as what is taken: a system that is
// cut all the time never gets to the states that only a pause shows (Groce et al., Swarm Testing, ISSTA 2012). It is a pure
// function of its arguments.
func Swarm(seed int64, length time.Duration, candidates []Choice) []history.PlannedFault {
	if len(candidates) == 0 {
		return nil
	}
	r := history.Rand(seed, "nemesis/swarm")
	windows := drawWindows(r, length, drawTempo(r))
	var plan []history.PlannedFault
	for _, l := range drawLanes(r, drawChoices(r, candidates)) {
		plan = append(plan, l.draw(history.Rand(seed, "nemesis/swarm/lane/"+l.name), windows)...)
	}
	return numbered(plan)
}

// drawChoices draws some of the candidates, at most half of them, and some of each one's targets.
func drawChoices(r *rand.Rand, candidates []Choice) []Choice {
	few := 1 + r.IntN((len(candidates)+1)/2)
	var chosen []Choice
	for _, i := range r.Perm(len(candidates))[:few] {
		c := candidates[i]
		places := r.Perm(len(c.Targets))[:1+r.IntN(len(c.Targets))]
		slices.Sort(places)
		some := Choice{Kind: c.Kind}
		for _, at := range places {
			some.Targets = append(some.Targets, c.Targets[at])
		}
		chosen = append(chosen, some)
	}
	return chosen
}

// drawLanes deals the choices out to lanes, at least one to each.
func drawLanes(r *rand.Rand, chosen []Choice) []lane {
	lanes := make([]lane, 1+r.IntN(len(chosen)))
	for i := range lanes {
		lanes[i] = lane{name: strconv.Itoa(i + 1), tempo: drawTempo(r)}
	}
	for i, c := range chosen {
		at := i
		if at >= len(lanes) {
			at = r.IntN(len(lanes))
		}
		lanes[at].choices = append(lanes[at].choices, c)
	}
	return lanes
}

// drawTempo draws from a tempo at which a system hardly comes to rest to one at which it hardly notices.
func drawTempo(r *rand.Rand) tempo {
	return tempo{
		noisy:  drawSpan(r, 2*time.Second, 12*time.Second),
		quiet:  drawSpan(r, 500*time.Millisecond, 4*time.Second),
		gap:    drawSpan(r, 200*time.Millisecond, 4*time.Second),
		chance: 0.4 + 0.6*r.Float64(),
	}
}

// drawSpan draws a range that begins between two times, over the orders of magnitude, and ends at most at its double.
func drawSpan(r *rand.Rand, least, most time.Duration) span {
	from := logUniform(r, least, most)
	return span{from, from + between(r, 0, from)}
}

// Fitting are all kinds that a run can have, each with all its targets.
func Fitting(s Setting) []Choice {
	var fitting []Choice
	for _, k := range Kinds {
		if k.Fits == nil || k.Fits(s) == nil {
			fitting = append(fitting, Choice{Kind: k, Targets: k.Targets})
		}
	}
	return fitting
}

// Fit says why a run cannot have the faults of a plan; nil if it can.
func Fit(plan []history.PlannedFault, s Setting) error {
	for _, p := range plan {
		kind, err := Find(p.Kind)
		if err != nil {
			return err
		}
		if kind.Fits == nil {
			continue
		}
		if err := kind.Fits(s); err != nil {
			return fmt.Errorf("fault %s does not fit this run: %w", p.Kind, err)
		}
	}
	return nil
}
