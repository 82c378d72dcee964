package reports

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"

	"rift/checker"
	"rift/harness/history"
)

// HTML is report.html: one file that needs nothing else. The template's escaping, and textContent in the scripts, keep what
// the system under test said from being anything but text; a content security policy, which allows this very
// script and no request at all, stands behind both.
var HTML = Format{
	Name:  "html",
	File:  history.ReportFile,
	Doc:   "the report for people, one self-contained page",
	Write: writeHTML,
}

//go:embed assets
var assets embed.FS

// The scripts, in the order in which they need each other.
var scripts = []string{"data.js", "axis.js", "bands.js", "bars.js", "timeline.js", "plots.js", "clocks.js", "page.js"}

var pageTemplate = template.Must(template.New("page.tmpl").Funcs(template.FuncMap{
	"seconds": seconds,
	"grouped": grouped,
	"counted": counted,
	"heading": heading,
	"drawing": drawing,
}).ParseFS(assets, "assets/page.tmpl"))

func writeHTML(w io.Writer, run *history.Run, rep checker.Report) error {
	p := newPage(run, rep)
	block, err := json.Marshal(p.Data) // it escapes <, > and &, so that no value ends the script element
	if err != nil {
		return err
	}
	script, style, err := bundle()
	if err != nil {
		return err
	}
	return pageTemplate.Execute(w, struct {
		pageData
		Block  template.JS
		Script template.JS
		Style  template.CSS
		Policy string
	}{p, template.JS(block), template.JS(script), template.CSS(style), policy(script)})
}

// bundle joins the scripts into one strict function, and reads the style sheet.
func bundle() (script, style string, err error) {
	var b bytes.Buffer
	b.WriteString("(() => {\n\"use strict\";\n")
	for _, name := range scripts {
		source, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return "", "", err
		}
		b.Write(source)
	}
	b.WriteString("})();\n")
	css, err := assets.ReadFile("assets/page.css")
	return b.String(), string(css), err
}

// policy allows the one script by its digest, the style sheet, and drawings that stand in the page itself.
func policy(script string) string {
	sum := sha256.Sum256([]byte(script))
	return fmt.Sprintf("default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-%s'",
		base64.StdEncoding.EncodeToString(sum[:]))
}

// drawing puts an SVG into an image's address. Browsers run no script and load nothing in an image.
func drawing(svg string) template.URL {
	return template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svg)))
}
