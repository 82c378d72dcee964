package txn

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// drawn is the largest number of transactions in a drawing. Of a longer cycle the middle is left out.
const drawn = 12

// mark is a transaction in a drawing, or the gap where some are left out.
type mark struct {
	name, title string
	to          string // the label of the edge to the next mark
	kind        edgeKind
}

// draw draws a cycle as SVG: transactions on a circle, an arrow for each dependency. It needs nothing from elsewhere; its
// colours follow the page's text colour and the variables --txn-data, --txn-anti and --txn-time, if there are any.
func (a *analysis) draw(f finding) string {
	var marks []mark
	for i, e := range f.edges {
		if n := len(f.edges); n > drawn && i >= drawn/2 && i < n-drawn/2 {
			if i == drawn/2 {
				marks = append(marks, mark{name: "…", title: fmt.Sprintf("%d more transactions", n-2*(drawn/2)), to: "…"})
			}
			continue
		}
		marks = append(marks, mark{fmt.Sprintf("T%d", i+1), a.describe(e.from), a.label(e), e.kind})
	}
	return circle(marks)
}

// label names an edge in short: its kind and the key.
func (a *analysis) label(e edge) string {
	if e.kind == inProcess || e.kind == inTime {
		return edgeNames[e.kind]
	}
	const longest = 20
	key := []rune(a.names.keys[a.versions.key[a.contact(e).link.from]])
	if len(key) > longest {
		key = append(key[:longest-1], '…')
	}
	return edgeNames[e.kind] + " " + string(key)
}

// circle draws marks as a directed ring. Texts are escaped.
func circle(marks []mark) string {
	const dot = 20.0
	radius := max(90, float64(len(marks))*26)
	width, height := 2*(radius+130), 2*(radius+50)
	at := func(i int, r float64) (x, y float64) {
		angle := 2*math.Pi*float64(i)/float64(len(marks)) - math.Pi
		return width/2 + r*math.Cos(angle), height/2 + r*math.Sin(angle)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="a cycle of transactions" font-family="sans-serif" font-size="13" fill="none" stroke="currentColor">`, width, height, width, height)
	for i, m := range marks {
		j := (i + 1) % len(marks)
		x1, y1 := at(i, radius)
		x2, y2 := at(j, radius)
		// The arrow bends outwards, so that two transactions get two arrows; it begins and ends at the rims of the dots.
		mx, my := (x1+x2)/2, (y1+y2)/2
		dx, dy := x2-x1, y2-y1
		length := math.Hypot(dx, dy)
		bend := 0.28 * length
		cx, cy := mx+dy/length*bend, my-dx/length*bend
		sx, sy := toward(x1, y1, cx, cy, dot)
		ex, ey := toward(x2, y2, cx, cy, dot+2)
		fmt.Fprintf(&b, `<path d="M%.1f %.1fQ%.1f %.1f %.1f %.1f" stroke-width="1.6" style="stroke:%s"%s/>`,
			sx, sy, cx, cy, ex, ey, colour(m.kind), dashes(m.kind))
		b.WriteString(head(cx, cy, ex, ey, colour(m.kind)))
		lx, ly := (mx+cx)/2+dy/length*14, (my+cy)/2-dx/length*14
		anchor := "middle"
		if lx > mx+6 {
			anchor = "start"
		} else if lx < mx-6 {
			anchor = "end"
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" dominant-baseline="middle" fill="currentColor" stroke="none">%s</text>`, lx, ly, anchor, html.EscapeString(m.to))
	}
	for i, m := range marks {
		x, y := at(i, radius)
		fmt.Fprintf(&b, `<g><title>%s</title><circle cx="%.1f" cy="%.1f" r="%.0f" style="fill:var(--txn-dot,transparent)"/><text x="%.1f" y="%.1f" text-anchor="middle" dominant-baseline="central" fill="currentColor" stroke="none">%s</text></g>`,
			html.EscapeString(m.title), x, y, dot, x, y, html.EscapeString(m.name))
	}
	b.WriteString("</svg>")
	return b.String()
}

// head is the head of an arrow that comes from one point and ends at another.
func head(fromX, fromY, x, y float64, colour string) string {
	const long, wide = 10, 4
	bx, by := toward(x, y, fromX, fromY, long)
	nx, ny := (y-by)/long*wide, (bx-x)/long*wide
	return fmt.Sprintf(`<path d="M%.1f %.1fL%.1f %.1fL%.1f %.1fz" stroke="none" style="fill:%s"/>`, x, y, bx+nx, by+ny, bx-nx, by-ny, colour)
}

// toward is the point at a distance from one point on the way to another.
func toward(x, y, tx, ty, distance float64) (float64, float64) {
	length := math.Hypot(tx-x, ty-y)
	return x + (tx-x)/length*distance, y + (ty-y)/length*distance
}

func colour(k edgeKind) string {
	switch {
	case k.isRW():
		return "var(--txn-anti,#d1495b)"
	case k == ww || k == wr:
		return "var(--txn-data,#3a7ca5)"
	}
	return "var(--txn-time,currentColor)"
}

func dashes(k edgeKind) string {
	if k == inProcess || k == inTime || k == gone {
		return ` stroke-dasharray="6 4"`
	}
	return ""
}
