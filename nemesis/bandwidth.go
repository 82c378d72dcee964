package nemesis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"rift/harness/history"
	"rift/nemesis/netspace"
	"rift/nemesis/packets"
)

// argRate is what each link carries, in Mbit/s.
const argRate = "mbit"

var bandwidthKind = Kind{
	Name:    "bandwidth",
	Doc:     "Holds each link, each way, to a rate in Mbit/s, and drops what would wait for more than half a second; clients are not held.",
	Targets: LinkTargets,
	How:     "the kernel asks rift about each packet (NFQUEUE in the receiver's network namespace), which answers when the link's bucket has room",
	Needs:   queueNeeds,
	Proof:   "a burst sent from namespace to namespace takes as long as the rate lets it; after the heal it takes less, on every link",
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = map[string]string{argRate: fmt.Sprint(math.Round(math.Pow(rates.most/rates.least, r.Float64())*rates.least*10) / 10)}
		return p
	},
	New:  newBandwidth,
	Able: ableToDelay,
}

// rates are the rates allowed, in Mbit/s. Less is not enough for a probe; more is what a busy machine may take for a burst by itself.
var rates = shares{0.5, 20}

// A burst is of as many packets as the rate lets through in burstTime, and of a few at least. What waits longer than the backlog is dropped,
// which is longer than any burst takes.
const (
	burstTime    = 100 * time.Millisecond
	burstLeast   = 10
	burstSize    = 1400 // bytes of each packet
	burstHeaders = 28   // bytes of IPv4 and UDP before them
	rateBacklog  = 500 * time.Millisecond
)

func newBandwidth(p history.PlannedFault) (Fault, error) {
	mbit, err := rates.parse(p, argRate)
	if err != nil {
		return nil, err
	}
	rate := mbit * 1e6 / 8 // bytes a second
	// No packet can be asked about before the first is sent, so that a burst which the rate holds cannot be done before least.
	held := func(t netspace.Trace) bool {
		least := float64(len(t.Arrivals)*(burstSize+burstHeaders)) / rate
		return burstTook(t).Seconds() >= least
	}
	return newDisturbance(p, disorder{
		what: fmt.Sprintf("held to %v Mbit/s", mbit),
		filter: func(s packets.Site, _ *rand.Rand) (*packets.Filter, error) {
			return packets.Disturb(s, packets.Bandwidth(rate, rateBacklog))
		},
		probe:   netspace.Stream{Packets: max(burstLeast, int(rate*burstTime.Seconds()/burstSize)), Size: burstSize},
		bites:   func(t netspace.Trace) bool { return len(t.Arrivals) > 1 && held(t) },
		gone:    func(t netspace.Trace) bool { return len(t.Arrivals) > 1 && !held(t) },
		measure: burstRates,
	}, argRate)
}

// burstTook is the time from the first packet's departure to the last one's arrival.
func burstTook(t netspace.Trace) time.Duration {
	if len(t.Arrivals) == 0 {
		return 0
	}
	first := t.Arrivals[0].Sent
	for _, a := range t.Arrivals {
		first = min(first, a.Sent)
	}
	return t.Arrivals[len(t.Arrivals)-1].At - first
}

// burstRates is the mean of the links' rates.
func burstRates(all []netspace.Trace) (name string, value float64, saw string) {
	var sum float64
	measured := 0
	for _, t := range all {
		if took := burstTook(t); took > 0 {
			sum += float64(len(t.Arrivals)*(burstSize+burstHeaders)*8) / took.Seconds() / 1e6
			measured++
		}
	}
	mean := math.Round(sum/float64(max(measured, 1))*100) / 100
	return "mbit_per_s", mean, fmt.Sprintf("%v Mbit/s", mean)
}
