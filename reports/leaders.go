package reports

import (
	"sort"
	"time"

	"rift/harness/history"
)

// strip is what one node said of itself over time.
type strip struct {
	Node  string `json:"node"`
	Spans []span `json:"spans"`
}

// span is a time during which a node's state and term stayed the same. Times are nanoseconds since the run's start.
type span struct {
	From  int64  `json:"from"`
	To    int64  `json:"to"`
	State string `json:"state"`
	Term  uint64 `json:"term"`
}

// leaders joins the views of each node into spans. A span lasts until the node's next view, the last one until
// the last view of any node.
func leaders(views []history.View) []strip {
	byNode := make(map[string][]history.View)
	var end int64
	for _, v := range views {
		byNode[v.Node] = append(byNode[v.Node], v)
		end = max(end, int64(v.Time))
	}
	strips := []strip{}
	for node, list := range byNode {
		sort.SliceStable(list, func(i, j int) bool { return list[i].Time < list[j].Time })
		strips = append(strips, strip{node, spans(list, end)})
	}
	sort.Slice(strips, func(i, j int) bool { return naturalLess(strips[i].Node, strips[j].Node) })
	return strips
}

func spans(views []history.View, end int64) []span {
	var list []span
	for _, v := range views {
		at := int64(v.Time)
		if n := len(list); n > 0 {
			last := &list[n-1]
			last.To = at
			if last.State == v.State && (last.Term == v.Term || v.State == history.Unreachable) {
				continue
			}
		}
		list = append(list, span{at, at, v.State, v.Term})
	}
	list[len(list)-1].To = end
	return list
}

// reign is a time during which a node said that it led.
type reign struct {
	Node string
	span
}

// Start and End are the times in words.
func (r reign) Start() string { return seconds(time.Duration(r.From)) }

// End is the end of the time in words.
func (r reign) End() string { return seconds(time.Duration(r.To)) }

// reigns lists who led when, in order of time.
func reigns(strips []strip) []reign {
	var list []reign
	for _, s := range strips {
		for _, sp := range s.Spans {
			if sp.State == "leader" {
				list = append(list, reign{s.Node, sp})
			}
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].From < list[j].From })
	return list
}

// naturalLess puts n2 before n10.
func naturalLess(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}
