package nemesis

import (
	"fmt"
	"math"
	"math/rand/v2"

	"rift/harness/history"
	"rift/nemesis/netspace"
	"rift/nemesis/packets"
)

var lossKind = Kind{
	Name:    "loss",
	Doc:     "Loses a share of the packets on links, each packet by itself; clients lose none.",
	Targets: LinkTargets,
	How:     "an nftables rule in the receiver's network namespace that draws a number for each packet (numgen) and drops it",
	Needs:   "CAP_NET_ADMIN over the nodes' namespaces, nftables (CONFIG_NFT_NUMGEN), nodes without IPv6",
	Proof:   "of packets sent from namespace to namespace the share is missing; after the heal all arrive, on every link",
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = map[string]string{argShare: shares{0.1, 0.5}.draw(r)}
		return p
	},
	New: newLoss,
	Able: ableToDisturb("nftables (CONFIG_NF_TABLES, CONFIG_NFT_NUMGEN)", func(s packets.Site) (*packets.Filter, error) {
		return packets.Lose(s, 0.5)
	}),
}

func newLoss(p history.PlannedFault) (Fault, error) {
	share, err := shares{0.02, 0.9}.parse(p, argShare)
	if err != nil {
		return nil, err
	}
	return newDisturbance(p, disorder{
		what: fmt.Sprintf("lost (%v %%)", share*100),
		filter: func(s packets.Site, _ *rand.Rand) (*packets.Filter, error) {
			return packets.Lose(s, share)
		},
		probe:   netspace.Stream{Packets: enough(share), Size: 64},
		bites:   func(t netspace.Trace) bool { return len(t.Arrivals) > 0 && shows(t.Missing(), t.Sent, share) },
		gone:    func(t netspace.Trace) bool { return len(t.Arrivals) > 0 && t.Missing() == 0 },
		measure: shareOf("missing", netspace.Trace.Missing),
	}, argShare)
}

// enough is how many packets a share is measured with: twenty of them are hit on average, and twenty are not.
func enough(share float64) int { return int(math.Ceil(20 / min(share, 1-share))) }

// shows says whether so many hits, of enough, are to be believed. An effect of the share makes fewer than a quarter of what it makes
// on average about once in fifty thousand measurements, which are then made again.
func shows(hits, of int, share float64) bool { return of > 0 && float64(hits) >= share*float64(of)/4 }

// shareOf is the share of all packets that traces count something of.
func shareOf(what string, count func(netspace.Trace) int) func([]netspace.Trace) (string, float64, string) {
	return func(all []netspace.Trace) (name string, value float64, saw string) {
		var n, sent int
		for _, t := range all {
			n += count(t)
			sent += t.Sent
		}
		share := math.Round(float64(n)/float64(max(sent, 1))*1000) / 1000
		return what + "_share", share, fmt.Sprintf("%d of %d packets %s", n, sent, what)
	}
}
