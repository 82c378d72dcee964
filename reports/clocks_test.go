package reports

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"rift/harness/history"
)

func TestClocksAreDrawnWhereTheyTurn(t *testing.T) {
	const s = time.Second
	drifts := func(at, wall time.Duration) history.ClockSample {
		return history.ClockSample{Time: at, Node: "n10", Wall: wall, WallRate: 1.5, MonotonicRate: 0.5, Monotonic: -wall}
	}
	samples := []history.ClockSample{
		{Time: 0, Node: "n10", WallRate: 1, MonotonicRate: 1},
		{Time: 0, Node: "n9", WallRate: 1, MonotonicRate: 1},
		{Time: 1 * s, Node: "n9", WallRate: 1, MonotonicRate: 1}, // nothing new
		drifts(1*s, 0), drifts(2*s, s/2), drifts(3*s, s), // one line
		{Time: 4 * s, Node: "n10", Down: true},
		{Time: 5 * s, Node: "n10", Wall: -time.Hour, WallRate: 1, Swing: time.Minute, MonotonicRate: 1},
		{Time: 5 * s, Node: "n9", WallRate: 1, MonotonicRate: 1},
	}
	lines, ranges := clocks(samples)
	if len(lines) != 2 || lines[0].Node != "n9" || lines[1].Node != "n10" {
		t.Fatalf("got %+v", lines)
	}
	ns := func(list ...time.Duration) []int64 {
		out := make([]int64, len(list))
		for i, d := range list {
			out[i] = int64(d)
		}
		return out
	}
	want := clockLine{
		Node: "n10", At: ns(0, s, 4*s, 5*s), Wall: ns(0, 0, 0, -time.Hour), WallRate: []float64{1, 1.5, 0, 1}, Swing: ns(0, 0, 0, time.Minute),
		Monotonic: ns(0, 0, 0, 0), MonotonicRate: []float64{1, 0.5, 0, 1},
	}
	if !reflect.DeepEqual(lines[1], want) {
		t.Errorf("got %+v, want %+v", lines[1], want)
	}
	if !reflect.DeepEqual(lines[0].At, ns(0, 5*s)) {
		t.Errorf("a clock that is true all the time has points at %v", lines[0].At)
	}
	furthest := clockRange{Node: "n10", Ahead: 1500 * time.Millisecond, Behind: -time.Hour - time.Minute, Lost: -1500 * time.Millisecond, SlowestRate: 1, FastestRate: 1.5}
	if ranges[1] != furthest || !wrong(ranges) || wrong(ranges[:1]) {
		t.Errorf("got %+v, want %+v", ranges[1], furthest)
	}
}

// However long a run was, its page does not grow without end.
func TestClocksAreBounded(t *testing.T) {
	var samples []history.ClockSample
	for i := range 3 * maxClockPoints {
		samples = append(samples, history.ClockSample{Time: time.Duration(i) * time.Second, Node: "n1", Wall: time.Duration(i%2) * time.Hour, WallRate: 1, MonotonicRate: 1})
	}
	for i := range 2 * maxClocks {
		samples = append(samples, history.ClockSample{Node: strings.Repeat("x", i+3), WallRate: 1, MonotonicRate: 1})
	}
	lines, _ := clocks(samples)
	if len(lines) != maxClocks || len(lines[0].At) > maxClockPoints || len(lines[0].At) < maxClockPoints/2 {
		t.Errorf("%d lines, the first with %d points", len(lines), len(lines[0].At))
	}
}

func TestReadersSeeTheClocks(t *testing.T) {
	run, rep := small["invalid"].run()
	b := newBrowser(t)
	b.do(t, chromedp.EmulateViewport(1280, 860), chromedp.Navigate(draw(t, run, rep)), settled)
	text := func(expression string) string { return value(t, b, chromedp.Evaluate[string](expression)) }
	if got := text(`[...document.querySelectorAll("#clock-panels strong")].map((e) => e.textContent).join("; ")`); got != "Wall clocks, off the host's; Monotonic clocks, off the host's" {
		t.Errorf("the panels are %q", got)
	}
	// The scenario has n1 an hour behind from an eighth of the run to a quarter.
	b.do(t, chromedp.Evaluate[chromedp.Void](`{
		const canvas = document.querySelector("#clock-panels canvas");
		canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: canvas.getBoundingClientRect().left + 64 + (canvas.clientWidth - 80) * 0.2,
			clientY: canvas.getBoundingClientRect().top + 150 }));
	}`), settled)
	if got := text(`document.querySelector("#clock-panels .readout").textContent`); !strings.Contains(got, "n1 −1 h") || !strings.Contains(got, "n3 0") {
		t.Errorf("the pointer on the clocks reads %q", got)
	}
	if got := text(`document.querySelector("#clocks table").textContent`); !strings.Contains(got, "-3600 s") {
		t.Errorf("the table says %q", got)
	}
	b.noProblems(t)
}
