package nemesis

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"rift/harness/history"
	"rift/nemesis/netspace"
	"rift/nemesis/packets"
)

// argChecksum is what becomes of the checksum of a packet that is corrupted.
const argChecksum = "checksum"

// What becomes of the checksum.
const (
	stale  = "stale"  // the receiver's kernel drops the packet: what a bad cable does
	mended = "mended" // the program reads the wrong byte: what a bad router or network card does
)

var corruptKind = Kind{
	Name: "corrupt",
	Doc: "Changes a byte of what a share of the TCP and UDP packets on links carry, with the checksum stale, so that kernels drop them, " +
		"or mended, so that programs read them; those of clients are left alone.",
	Targets: LinkTargets,
	How:     "the kernel asks rift about each packet (NFQUEUE in the receiver's network namespace), which answers with changed bytes",
	Needs:   queueNeeds,
	Proof:   "of packets sent from namespace to namespace the share is missing (stale) or comes changed (mended); after the heal all come as sent, on every link",
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		// TCP leaves it to programs to find out a mended packet, and most do not, so that one is only for those who ask for it.
		p.Args = map[string]string{argShare: shares{0.1, 0.3}.draw(r), argChecksum: stale}
		return p
	},
	New:  newCorrupt,
	Able: ableToRewrite,
}

func newCorrupt(p history.PlannedFault) (Fault, error) {
	share, err := shares{0.02, 0.9}.parse(p, argShare)
	if err != nil {
		return nil, err
	}
	checksum := p.Args[argChecksum]
	if allowed := []string{stale, mended}; !slices.Contains(allowed, checksum) {
		return nil, UnknownError{Field: "argument checksum of corrupt", Given: checksum, Allowed: allowed}
	}
	seen, count := "missing", netspace.Trace.Missing
	if checksum == mended {
		seen, count = "changed", func(t netspace.Trace) int { return t.Strange }
	}
	return newDisturbance(p, disorder{
		what: fmt.Sprintf("corrupted (%v %%, checksum %s)", share*100, checksum),
		filter: func(s packets.Site, r *rand.Rand) (*packets.Filter, error) {
			return packets.Disturb(s, packets.Corrupt(share, checksum == mended, r))
		},
		probe:   netspace.Stream{Packets: enough(share), Size: 64},
		bites:   func(t netspace.Trace) bool { return len(t.Arrivals) > 0 && shows(count(t), t.Sent, share) },
		gone:    func(t netspace.Trace) bool { return len(t.Arrivals) > 0 && t.Missing() == 0 && t.Strange == 0 },
		measure: shareOf(seen, count),
	}, argShare, argChecksum)
}
