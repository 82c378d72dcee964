package reports

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"rift/checker"
	"rift/harness/history"
)

// browser is a real browser with one open page, which notes whatever a report must not do.
type browser struct {
	ctx      context.Context
	mu       sync.Mutex
	problems []string // console messages, exceptions, requests
}

func newBrowser(t testing.TB) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
			t.Fatalf("no browser to test the report in: %v", err)
		}
		t.Skipf("SKIPPED: no browser to test the report in: %v; install chromium", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second) // it must outlive the test, to be closed in peace
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	ctx, closePage := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // it waits for the browser's end
		closePage()
		stop()
		cancel()
	})
	b := &browser{ctx: ctx}
	b.do(t, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, cdplog.Enable, cdp.Empty{})
		return err
	}))
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) watch(event any) {
	note := ""
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		note = "console: " + string(e.Type)
	case *runtime.EventExceptionThrown:
		note = "exception: " + e.ExceptionDetails.Text
		if o := e.ExceptionDetails.Exception; o != nil {
			note += " " + o.Description
		}
	case *cdplog.EventEntryAdded:
		note = "log: " + e.Entry.Text
	case *page.EventJavascriptDialogOpening:
		note = "dialog: " + e.Message
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "file://") && !strings.HasPrefix(e.Request.URL, "data:") {
			note = "request: " + e.Request.URL
		}
	}
	if note != "" {
		b.mu.Lock()
		b.problems = append(b.problems, note)
		b.mu.Unlock()
	}
}

func (b *browser) do(t testing.TB, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// value runs an action that gives a value.
func value[T any](t testing.TB, b *browser, action chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// noProblems fails if the page did anything that it must not do.
func (b *browser) noProblems(t testing.TB) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.problems) > 0 {
		t.Errorf("the page must be silent and load nothing, but: %q", b.problems)
	}
}

// draw writes a run's HTML report into a file and gives its address.
func draw(t testing.TB, run *history.Run, rep checker.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML.Write(&b, run, rep); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), history.ReportFile)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// settled waits for two frames, so that what was asked to be drawn is drawn.
var settled = chromedp.Evaluate[chromedp.Void](
	`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, chromedp.EvalAwaitPromise)

// medium sets what the page believes of its reader: "screen" or "print", "light" or "dark".
func medium(media, scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: media, Features: features})
		return err
	})
}

// TestPictures photographs the reports of all scenarios into the folder RIFT_PICTURES, to be looked at, or that of
// the run whose folder RIFT_RUN names.
func TestPictures(t *testing.T) {
	dir := os.Getenv("RIFT_PICTURES")
	if dir == "" {
		t.Skip("RIFT_PICTURES names no folder for the pictures")
	}
	b := newBrowser(t)
	if from := os.Getenv("RIFT_RUN"); from != "" {
		run, err := history.Load(from)
		if err != nil {
			t.Fatal(err)
		}
		results, err := os.ReadFile(filepath.Join(from, history.ResultsFile))
		if err != nil {
			t.Fatal(err)
		}
		rep, err := checker.ParseReport(results)
		if err != nil {
			t.Fatal(err)
		}
		b.photograph(t, filepath.Join(dir, "run"), draw(t, run, rep))
		return
	}
	for name, s := range scenarios {
		if only := os.Getenv("RIFT_SCENARIO"); only == "" || strings.Contains(only, name) {
			run, rep := s.run()
			b.photograph(t, filepath.Join(dir, name), draw(t, run, rep))
		}
	}
	b.noProblems(t)
}

// photograph takes the whole page, what is seen first and each section, in light and dark, wide and narrow, and printed.
func (b *browser) photograph(t *testing.T, prefix, address string) {
	keep := func(suffix string, content []byte) {
		if err := os.WriteFile(prefix+suffix, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 800} {
			b.do(t, chromedp.EmulateViewport(width, 860), medium("screen", scheme), chromedp.Navigate(address), settled)
			shot := fmt.Sprintf("-%s-%d", scheme, width)
			keep(shot+".png", value(t, b, chromedp.FullScreenshot(100)))
			keep(shot+"-top.png", value(t, b, chromedp.CaptureScreenshot()))
			for _, section := range []string{"timeline", "plots", "leaders", "clocks", "faults"} {
				keep(shot+"-"+section+".png", value(t, b, chromedp.Screenshot(chromedp.CSS("#"+section))))
			}
		}
	}
	b.do(t, medium("print", "dark"), chromedp.EmulateViewport(760, 860),
		chromedp.Evaluate[chromedp.Void](`dispatchEvent(new Event("beforeprint"))`), settled)
	keep("-print.png", value(t, b, chromedp.FullScreenshot(100)))
	keep(".pdf", value(t, b, chromedp.PrintToPDF()))
}

func TestReadersFindTheirWay(t *testing.T) {
	run, rep := small["invalid"].run()
	proof := rep.Results[0].Anomalies[0].Ops
	b := newBrowser(t)
	address := draw(t, run, rep)
	text := func(expression string) string { return value(t, b, chromedp.Evaluate[string](expression)) }
	detail := `document.querySelector("#detail").hidden ? "" : document.querySelector("#detail h3").textContent`
	set := func(label, to string) {
		t.Helper()
		b.do(t, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{
			const field = [...document.querySelectorAll("#tools label")].find((l) => l.firstChild.textContent === %q).querySelector("select, input");
			field.value = %q;
			field.dispatchEvent(new Event(field.tagName === "INPUT" ? "input" : "change"));
		}`, label, to)), settled)
	}
	shown := func() string { return text(`document.querySelector("#shown").textContent`) }

	b.do(t, chromedp.EmulateViewport(1280, 860), chromedp.Navigate(fmt.Sprintf("%s#op-%d", address, proof[2])), settled)
	if got := text(detail); !strings.HasPrefix(got, fmt.Sprintf("Operation #%d: read → ", proof[2])) {
		t.Errorf("a link to an operation shows %q", got)
	}
	b.do(t, chromedp.Focus(chromedp.CSS("#timeline-box canvas")), chromedp.KeyEvent("p"), settled)
	if got := text(detail); !strings.Contains(got, "Operation #") || strings.Contains(got, fmt.Sprint("#", proof[2], ":")) {
		t.Errorf("the key p shows %q, not the operation before", got)
	}
	if got := text(`location.hash`); !strings.HasPrefix(got, "#op-") {
		t.Errorf("the address of a selected operation ends with %q", got)
	}
	b.do(t, chromedp.Evaluate[chromedp.Void](`{
		const canvas = document.querySelector("#plot-panels canvas");
		canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: canvas.getBoundingClientRect().left + 64 + (canvas.clientWidth - 80) * 1.5 / 12,
			clientY: canvas.getBoundingClientRect().top + 8 }));
	}`), settled)
	if got := text(`document.querySelector(".tip").textContent`); !strings.Contains(got, "Fault 1: kill") || !strings.Contains(got, "process 4711 is gone") {
		t.Errorf("the pointer on a fault's name shows %q", got)
	}
	if got := text(`document.querySelector(".readout").textContent`); !strings.Contains(got, "ok ") {
		t.Errorf("the pointer on the throughput reads %q", got)
	}
	all := shown()
	set("Function", "cas")
	if got := shown(); got == all {
		t.Errorf("the filter on cas leaves %q", got)
	}
	set("Function", "")
	set("Search", fmt.Sprint("#", proof[0]))
	if got := shown(); got != "1 operations" {
		t.Errorf("the search for one operation finds %q", got)
	}
	set("Search", "")
	set("A lane for each", "node")
	set("Axis", "order")
	b.do(t, chromedp.Evaluate[chromedp.Void](`document.querySelector("#table").open = true`), chromedp.WaitVisible(chromedp.CSS("#rows td")))
	rows := text(`document.querySelector("#rows").textContent`)
	if !strings.Contains(rows, fmt.Sprint("#", proof[2])) {
		t.Errorf("the table lacks the operation that shows the violation: %s", rows)
	}
	b.do(t, chromedp.Click(chromedp.CSS("#theme")), settled, chromedp.Click(chromedp.CSS("#theme")), settled)
	if got := text(`document.documentElement.dataset.theme + getComputedStyle(document.body).backgroundColor`); got != "darkrgb(20, 24, 28)" {
		t.Errorf("two clicks on the theme give %q", got)
	}
	b.noProblems(t)
}

// TestFigures measures what a long run's page costs: its size, the time to write it, to paint it and to draw a frame.
func TestFigures(t *testing.T) {
	if os.Getenv("RIFT_FIGURES") == "" {
		t.Skip("RIFT_FIGURES is not set")
	}
	b := newBrowser(t)
	for _, pace := range []time.Duration{60 * time.Millisecond, 4 * time.Millisecond, 500 * time.Microsecond} {
		s := scenario{name: "stale", keys: 200, workers: 80, length: 62 * time.Second, pace: pace, broken: 3}
		run, rep := s.run()
		began := time.Now()
		address := draw(t, run, rep)
		wrote := time.Since(began)
		info, err := os.Stat(strings.TrimPrefix(address, "file://"))
		if err != nil {
			t.Fatal(err)
		}
		b.do(t, chromedp.EmulateViewport(1280, 860), chromedp.Navigate(address), settled)
		paint := value(t, b, chromedp.Evaluate[float64](`new Promise((done) => new PerformanceObserver((seen) => {
			for (const e of seen.getEntriesByName("first-contentful-paint")) done(e.startTime);
		}).observe({ type: "paint", buffered: true }))`, chromedp.EvalAwaitPromise))
		frame := value(t, b, chromedp.Evaluate[float64](`new Promise((done) => {
			const violation = document.querySelector("#tools select"); // all operations are harder to draw than those of one key
			violation.value = "";
			violation.dispatchEvent(new Event("change"));
			const canvas = document.querySelector("#timeline-box canvas");
			canvas.dispatchEvent(new KeyboardEvent("keydown", {key: "0"}));
			let n = 0, longest = 0, sum = 0;
			const step = () => {
				canvas.dispatchEvent(new KeyboardEvent("keydown", {key: n % 2 ? "-" : "+"}));
				const began = performance.now();
				requestAnimationFrame(() => {
					const drew = performance.now();
					setTimeout(() => { sum += performance.now() - began; if (++n < 40) step(); else done(sum / n); });
				});
			};
			step();
		})`, chromedp.EvalAwaitPromise))
		t.Logf("%d operations: written in %s, %d kB, first contentful paint %.0f ms, a zoom's frame %.1f ms", len(run.History)/2, wrote.Round(time.Millisecond), info.Size()/1000, paint, frame)
	}
}
