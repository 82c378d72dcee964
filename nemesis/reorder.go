package nemesis

import (
	"fmt"
	"math/rand/v2"
	"time"

	"rift/harness/history"
	"rift/nemesis/netspace"
	"rift/nemesis/packets"
)

// argHold is how long a packet is held back that others are to overtake.
const argHold = "hold"

var reorderKind = Kind{
	Name:    "reorder",
	Doc:     "Holds a share of the packets on links back for a while, so that later ones overtake them; those of clients keep their order.",
	Targets: LinkTargets,
	How:     "the kernel asks rift about each packet (NFQUEUE in the receiver's network namespace), which answers late for those that are drawn",
	Needs:   queueNeeds,
	Proof:   "of packets sent from namespace to namespace the share comes behind later ones; after the heal they do not, on every link",
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = map[string]string{
			argShare: shares{0.1, 0.5}.draw(r),
			argHold:  logUniform(r, 5*time.Millisecond, 200*time.Millisecond).String(),
		}
		return p
	},
	New:  newReorder,
	Able: ableToDelay,
}

func newReorder(p history.PlannedFault) (Fault, error) {
	share, err := shares{0.02, 0.9}.parse(p, argShare)
	if err != nil {
		return nil, err
	}
	hold, err := span{5 * time.Millisecond, time.Second}.parse(p, argHold)
	if err != nil {
		return nil, err
	}
	bites := func(t netspace.Trace) bool { return shows(t.Overtaken(), t.Sent, share) }
	return newDisturbance(p, disorder{
		what: fmt.Sprintf("held back for %v (%v %%)", hold, share*100),
		filter: func(s packets.Site, r *rand.Rand) (*packets.Filter, error) {
			return packets.Disturb(s, packets.Reorder(share, hold, r))
		},
		probe:   netspace.Stream{Packets: enough(share), Size: 64},
		bites:   bites,
		gone:    func(t netspace.Trace) bool { return len(t.Arrivals) > 0 && !bites(t) }, // several CPUs may swap a few
		measure: shareOf("overtaken", netspace.Trace.Overtaken),
		mild:    true,
	}, argShare, argHold)
}
