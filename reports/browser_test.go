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
	cdppage "github.com/chromedp/cdproto/page"
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
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
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
	case *cdppage.EventJavascriptDialogOpening:
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

// medium sets what the page believes of its reader: "light" or "dark".
func medium(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		return err
	})
}

// TestPictures photographs the reports of all scenarios into the folder RIFT_PICTURES, to be looked at.
func TestPictures(t *testing.T) {
	dir := os.Getenv("RIFT_PICTURES")
	if dir == "" {
		t.Skip("RIFT_PICTURES names no folder for the pictures")
	}
	b := newBrowser(t)
	keep := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, s := range scenarios {
		if only := os.Getenv("RIFT_SCENARIO"); only != "" && !strings.Contains(only, name) {
			continue
		}
		run, rep := s.run()
		address := draw(t, run, rep)
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{1280, 800} {
				b.do(t, chromedp.EmulateViewport(width, 860), medium(scheme), chromedp.Navigate(address), settled)
				shot := fmt.Sprintf("%s-%s-%d", name, scheme, width)
				keep(shot+".png", value(t, b, chromedp.FullScreenshot(100)))
				keep(shot+"-timeline.png", value(t, b, chromedp.Screenshot(chromedp.CSS("#timeline"))))
			}
		}
		keep(name+".pdf", value(t, b, chromedp.PrintToPDF()))
	}
	b.noProblems(t)
}
