package reports

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"rift/checker"
	"rift/harness/history"
)

// hostile tries to break out of every place that text from a system under test can come to.
const hostile = "</script><script>window.hacked=1</script><!--<script>\"'><img src=x onerror=window.hacked=1>" +
	"<svg onload=window.hacked=1>{{.}}${window.hacked=1}]]>&lt;\u2028\u202e\x00\x1b[31m\a\xff`|*_[x](javascript:window.hacked=1)\nlast"

const hostileSVG = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink" onload="window.hacked=1" width="9" height="9">` +
	`<script>window.hacked=1</script><image x:href="http://127.0.0.1:9/x.png" width="9" height="9"/><foreignObject><img src="x" onerror="window.hacked=1"/></foreignObject></svg>`

// poison puts the hostile text into every string, map key and JSON value below v.
func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				poison(v.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			b, _ := json.Marshal(hostile)
			v.SetBytes(b)
			return
		}
		for i := range v.Len() {
			poison(v.Index(i))
		}
	case reflect.Map:
		if v.Len() > 0 {
			value := reflect.New(v.Type().Elem()).Elem()
			poison(value)
			v.Clear()
			v.SetMapIndex(reflect.ValueOf(hostile), value)
		}
	case reflect.String:
		v.SetString(hostile)
	}
}

// poisoned is a run of which everything but the numbers is hostile.
func poisoned(t *testing.T) (*history.Run, checker.Report) {
	run, rep := small["invalid"].run()
	run.Test.Options = map[string]string{"a": "b"}
	run.Plan.Faults[0].Args = map[string]string{"a": "b"}
	run.Problems = []string{"a"}
	rep.Notes = []string{"a"}
	rep.Results = append(rep.Results, checker.Result{Method: "a", Parts: []checker.Result{{Summary: "a"}}})
	steps := make([]string, len(run.Evidence))
	for i, e := range run.Evidence {
		steps[i] = e.Step
	}
	poison(reflect.ValueOf(run))
	poison(reflect.ValueOf(&rep))
	for i := range run.Evidence {
		run.Evidence[i].Step = steps[i]
	}
	for i := range run.Views {
		run.Views[i].Node += run.Views[i].Time.String()[:1]
	}
	rep.Results[0].Anomalies[0].SVG = hostileSVG
	name := filepath.Join(t.TempDir(), strings.NewReplacer("/", "", "\x00", "").Replace(hostile)+".log")
	if err := os.WriteFile(name, []byte(strings.Repeat(hostile+"\n", 3)), 0o644); err != nil {
		t.Fatal(err)
	}
	run.Logs = []string{name}
	return run, rep
}

func TestHostileTextStaysText(t *testing.T) {
	run, rep := poisoned(t)
	out := make(map[string][]byte)
	for _, f := range Formats {
		out[f.Name] = written(t, f, run, rep)
	}
	if n := bytes.Count(bytes.ToLower(out["html"]), []byte("<script")); n != 2 {
		t.Errorf("the page has %d script elements, its own 2 are due", n)
	}
	for _, name := range []string{"text", "markdown", "junit"} {
		if bytes.ContainsAny(out[name], "\x00\x1b\a") || bytes.Contains(out[name], []byte("\u202e")) && name != "junit" {
			t.Errorf("%s lets control characters through", name)
		}
	}
	for i, block := range strings.Split(string(out["markdown"]), "\n```") { // every other block is code, where nothing is markup
		if i%2 == 0 && strings.Contains(block, "<img") {
			t.Errorf("markdown lets HTML through outside code: %s", block)
		}
	}
	var back checker.Report
	if err := json.Unmarshal(out["json"], &back); err != nil {
		t.Errorf("results.json: %v", err)
	}
	for d := xml.NewDecoder(bytes.NewReader(out["junit"])); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("junit.xml: %v", err)
		}
	}
}

func TestHostileTextRunsNothingInABrowser(t *testing.T) {
	run, rep := poisoned(t)
	b := newBrowser(t)
	b.do(t, chromedp.EmulateViewport(1280, 860), chromedp.Navigate(draw(t, run, rep)), settled)
	// Everything is opened, listed and selected once, so that all of it has been written into the page.
	b.do(t, chromedp.Evaluate[chromedp.Void](`for (const d of document.querySelectorAll("details")) d.open = true`), settled,
		chromedp.WaitVisible(chromedp.CSS("#rows td")), chromedp.Focus(chromedp.CSS("#timeline-box canvas")),
		chromedp.KeyEvent("n"), chromedp.WaitVisible(chromedp.CSS("#detail dl")), settled)
	got := value(t, b, chromedp.Evaluate[map[string]int](`({
		hacked: window.hacked === undefined ? 0 : 1,
		scripts: document.scripts.length,
		images: [...document.images].filter((i) => !i.src.startsWith("data:image/svg+xml")).length,
		drawn: document.querySelector(".reason").textContent.includes("<script>window.hacked=1</script>") ? 1 : 0,
		selected: document.querySelector("#detail h3").textContent.includes("<img src=x onerror=") ? 1 : 0,
	})`))
	if want := map[string]int{"hacked": 0, "scripts": 2, "images": 0, "drawn": 1, "selected": 1}; !maps.Equal(got, want) {
		t.Errorf("the page has %v, want %v", got, want)
	}
	b.noProblems(t)
}
