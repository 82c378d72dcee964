package reports

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
)

// TestColoursHaveContrast holds the theme against WCAG 2.2, criterion 1.4.3 (AA): 4.5 to 1 for text.
func TestColoursHaveContrast(t *testing.T) {
	css, err := assets.ReadFile("assets/page.css")
	if err != nil {
		t.Fatal(err)
	}
	themes := [2]map[string]string{{}, {}}
	for _, m := range regexp.MustCompile(`--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)`).FindAllStringSubmatch(string(css), -1) {
		themes[0][m[1]], themes[1][m[1]] = m[2], m[3]
	}
	pairs := "ink/card ink/page ink/sunk quiet/card quiet/page quiet/sunk accent/card card/accent ok/card fail/card info/card valid/card invalid/card unknown/card " +
		"valid/valid-fill invalid/invalid-fill unknown/unknown-fill ink/unknown-fill ink/ok-fill ink/info-fill ink/leader-fill ink/follower-fill ink/candidate-fill ink/down-fill " +
		"invalid/sunk quiet/follower-fill"
	for i, theme := range themes {
		for _, pair := range strings.Fields(pairs) {
			text, ground, _ := strings.Cut(pair, "/")
			if c := contrast(t, theme[text], theme[ground]); c < 4.5 {
				t.Errorf("theme %d: %s on %s has a contrast of %.2f", i, text, ground, c)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// luminance is the relative luminance that WCAG defines.
func luminance(t *testing.T, colour string) float64 {
	var rgb [3]int
	if _, err := fmt.Sscanf(colour, "#%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2]); err != nil {
		t.Fatalf("colour %q: %v", colour, err)
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(rgb[i]) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
