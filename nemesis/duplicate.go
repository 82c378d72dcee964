package nemesis

import (
	"fmt"
	"math/rand/v2"

	"rift/harness/history"
	"rift/nemesis/netspace"
	"rift/nemesis/packets"
)

var duplicateKind = Kind{
	Name:    "duplicate",
	Doc:     "Has a share of the packets on links arrive twice, each packet by itself; those of clients arrive once.",
	Targets: LinkTargets,
	How:     "the kernel asks rift about each packet (NFQUEUE in the receiver's network namespace), which sends the copies through a raw socket there",
	Needs:   queueNeeds,
	Proof:   "of packets sent from namespace to namespace the share comes twice; after the heal all come once, on every link",
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = map[string]string{argShare: shares{0.1, 0.5}.draw(r)}
		return p
	},
	New:  newDuplicate,
	Able: ableToRewrite,
}

func newDuplicate(p history.PlannedFault) (Fault, error) {
	share, err := shares{0.02, 0.9}.parse(p, argShare)
	if err != nil {
		return nil, err
	}
	return newDisturbance(p, disorder{
		what: fmt.Sprintf("repeated (%v %%)", share*100),
		filter: func(s packets.Site, r *rand.Rand) (*packets.Filter, error) {
			return packets.Disturb(s, packets.Duplicate(share, r))
		},
		probe:   netspace.Stream{Packets: enough(share), Size: 64, Twice: true},
		bites:   func(t netspace.Trace) bool { return shows(t.Copies(), t.Sent, share) },
		gone:    func(t netspace.Trace) bool { return len(t.Arrivals) > 0 && t.Copies() == 0 },
		measure: shareOf("repeated", netspace.Trace.Copies),
		mild:    true,
	}, argShare)
}
