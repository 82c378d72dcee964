package nemesis

import (
	"fmt"
	"math/rand/v2"
	"time"

	"rift/harness/history"
	"rift/nemesis/netspace"
	"rift/nemesis/packets"
)

var delayKind = Kind{
	Name:    "delay",
	Doc:     "Holds the packets on links back by delay ± jitter, each way, and keeps their order; clients are not slowed down.",
	Targets: LinkTargets,
	How:     "the kernel asks rift about each packet (NFQUEUE in the receiver's network namespace), which answers when its time has come",
	Needs:   queueNeeds,
	Proof:   "no packet sent from namespace to namespace arrives before delay - jitter; after the heal some do again, on every link",
	Draw:    drawDelay,
	New:     newDelay,
	Able:    ableToDelay,
}

// needsQueue is what effects that are decided outside the kernel need of it.
const needsQueue = "nftables with a packet queue (CONFIG_NFT_COMPAT, CONFIG_NETFILTER_XT_TARGET_NFQUEUE)"

// queueNeeds is the same for people, with what all faults on packets need.
const queueNeeds = "CAP_NET_ADMIN over the nodes' namespaces, nftables, CONFIG_NETFILTER_XT_TARGET_NFQUEUE, CONFIG_NFT_COMPAT, nodes without IPv6"

// ableToDelay says whether this machine can have packets wait for what is decided outside the kernel.
func ableToDelay(c Cluster) error {
	return ableToDisturb(needsQueue, func(s packets.Site) (*packets.Filter, error) {
		return packets.Disturb(s, packets.Delay(0, 0, nil))
	})(c)
}

// ableToRewrite says the same of whole packets, and whether this machine can make copies of them.
func ableToRewrite(c Cluster) error {
	return ableToDisturb(needsQueue, func(s packets.Site) (*packets.Filter, error) {
		return packets.Disturb(s, packets.Duplicate(0, rand.New(rand.NewPCG(0, 0))))
	})(c)
}

// delays is the range of delays. Less is not told from a busy machine; more looks like a partition.
var delays = span{2 * time.Millisecond, time.Second}

// mildDelay is what elections are still held over: followers wait for a leader several times as long.
const mildDelay = 50 * time.Millisecond

// drawDelay draws delays over the orders of magnitude, from a few times that of one network to more than an election waits.
func drawDelay(r *rand.Rand, allowed []string) history.PlannedFault {
	p := drawAimed(r, allowed)
	delay := logUniform(r, 5*time.Millisecond, 500*time.Millisecond)
	p.Args = map[string]string{argDelay: delay.String(), argJitter: between(r, 0, delay/2+1).String()}
	return p
}

func newDelay(p history.PlannedFault) (Fault, error) {
	delay, err := delays.parse(p, argDelay)
	if err != nil {
		return nil, err
	}
	jitter, err := span{0, delay / 2}.parse(p, argJitter) // so that every packet is delayed
	if err != nil {
		return nil, err
	}
	return newDisturbance(p, disorder{
		what: fmt.Sprintf("delayed by %v ± %v", delay, jitter),
		filter: func(s packets.Site, r *rand.Rand) (*packets.Filter, error) {
			return packets.Disturb(s, packets.Delay(delay, jitter, r))
		},
		probe:   netspace.Stream{Packets: 20, Size: 64},
		bites:   func(t netspace.Trace) bool { return len(t.Arrivals) > 0 && t.Fastest() >= delay-jitter },
		gone:    func(t netspace.Trace) bool { return len(t.Arrivals) > 0 && t.Fastest() < delay-jitter },
		measure: oneWayTimes,
		mild:    delay+jitter <= mildDelay,
	}, argDelay, argJitter)
}

// oneWayTimes is the mean of the links' medians, and the range that their packets' times are in.
func oneWayTimes(all []netspace.Trace) (name string, value float64, saw string) {
	var fastest, slowest, sum time.Duration
	arrived := 0
	for _, t := range all {
		if len(t.Arrivals) == 0 {
			continue
		}
		if arrived == 0 || t.Fastest() < fastest {
			fastest = t.Fastest()
		}
		slowest = max(slowest, t.Slowest())
		sum += t.Median()
		arrived++
	}
	mean := milliseconds(sum / time.Duration(max(arrived, 1)))
	return "one_way_ms", mean, fmt.Sprintf("%.2f ms on the way, %.2f to %.2f", mean, milliseconds(fastest), milliseconds(slowest))
}
