package nemesis

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"rift/harness/history"
)

// A plan as text is a line for each fault, or for each fault that comes again and again:
//
//	at 5s partition isolate-leader for 4s
//	at 1s..3s kill leader for 500ms..2s
//	at 2s every 10s clock leader skew=bump offset=-1m for 6s
//	lane second at 3s pause one for 1s
//
// A range stands for a time that the seed draws, "every" for repetitions until the main phase ends. A fault is in the
// lane of its kind's name unless another is given; faults of one lane never overlap. What follows a # is a comment.

// line is one line of a plan.
type line struct {
	lane, kind, target string
	args               map[string]string
	at, length         span
	every              time.Duration // 0: once
}

// span is a range of times, both ends included; both are the same where nothing is to be drawn.
type span struct{ least, most time.Duration }

func (s span) draw(r *rand.Rand) history.Duration {
	if s.most <= s.least {
		return history.Duration(s.least)
	}
	return history.Duration(between(r, s.least, s.most+time.Millisecond))
}

// Expand reads a plan as text and draws from the seed what it leaves open, for a main phase of the given length. Errors name the
// line and the field.
func Expand(text string, seed int64, length time.Duration) ([]history.PlannedFault, error) {
	var plan []history.PlannedFault
	var problems []error
	for i, source := range strings.Split(text, "\n") {
		words, err := splitWords(source)
		if len(words) == 0 && err == nil {
			continue
		}
		var l line
		if err == nil {
			l, err = parseLine(words)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("plan line %d: %w", i+1, err))
			continue
		}
		plan = append(plan, l.expand(history.Rand(seed, fmt.Sprintf("nemesis/line/%d", i)), length)...)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	sort.SliceStable(plan, func(a, b int) bool { return plan[a].At < plan[b].At })
	for i := range plan {
		plan[i].ID = i + 1
	}
	return plan, checkLanes(plan)
}

// splitWords takes a line apart at its spaces, except within double quotes, and drops the comment.
func splitWords(source string) ([]string, error) {
	var words []string
	for rest := strings.TrimSpace(source); rest != "" && rest[0] != '#'; rest = strings.TrimLeft(rest, " \t\r") {
		end, quoted := 0, false
		for end < len(rest) && (quoted || rest[end] != ' ' && rest[end] != '\t') {
			switch {
			case rest[end] == '"':
				quoted = !quoted
			case rest[end] == '\\' && quoted:
				end++
			}
			end++
		}
		if quoted || end > len(rest) {
			return nil, errors.New("a quote is not closed")
		}
		words = append(words, rest[:end])
		rest = rest[end:]
	}
	return words, nil
}

// parseLine reads a line's words, and has the kind check what it is given.
func parseLine(words []string) (line, error) {
	l := line{args: make(map[string]string)}
	for len(words) > 0 {
		rest, err := l.take(words)
		if err != nil {
			return l, err
		}
		words = rest
	}
	switch {
	case l.kind == "":
		return l, errors.New("no kind of fault given: at TIME [every TIME] KIND [TARGET] [name=value ...] for TIME")
	case l.length.least <= 0:
		return l, errors.New("for: a time above 0 wanted, such as for 4s")
	}
	if l.lane == "" {
		l.lane = l.kind
	}
	kind, err := Find(l.kind)
	if err != nil {
		return l, err
	}
	if l.target == "" {
		l.target = kind.Targets[0]
	}
	_, err = kind.New(l.fault())
	return l, err
}

// take reads the next field, and gives the words after it.
func (l *line) take(words []string) ([]string, error) {
	word := words[0]
	field := map[string]func(string) error{
		"at":    func(v string) (err error) { l.at, err = parseSpan("at", v); return err },
		"for":   func(v string) (err error) { l.length, err = parseSpan("for", v); return err },
		"every": func(v string) (err error) { l.every, err = parsePositive("every", v); return err },
		"lane":  func(v string) error { l.lane = v; return nil },
	}[word]
	name, value, isArg := strings.Cut(word, "=")
	switch {
	case field != nil && len(words) < 2:
		return nil, fmt.Errorf("%s: nothing given", word)
	case field != nil:
		return words[2:], field(words[1])
	case isArg:
		if strings.Contains(value, `"`) {
			var err error
			if value, err = strconv.Unquote(value); err != nil {
				return nil, fmt.Errorf("%s: %s given, a value in double quotes or without any allowed", name, words[0])
			}
		}
		l.args[name] = value
	case l.kind == "":
		l.kind = word
	case l.target == "":
		l.target = word
	default:
		return nil, fmt.Errorf("%q given after the target; at, every, for, lane or name=value allowed", word)
	}
	return words[1:], nil
}

// longest bounds every time in a plan.
const longest = 1000 * time.Hour

func parseSpan(field, text string) (span, error) {
	from, to, ranged := strings.Cut(text, "..")
	if !ranged {
		to = from
	}
	least, err := time.ParseDuration(from)
	most, mostErr := time.ParseDuration(to)
	if err != nil || mostErr != nil || least < 0 || most < least || most > longest {
		return span{}, fmt.Errorf("%s: %q given, a time such as 500ms or a range such as 1s..3s allowed, up to %s", field, text, longest)
	}
	return span{least, most}, nil
}

func parsePositive(field, text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Millisecond || d > longest {
		return 0, fmt.Errorf("%s: %q given, a time from 1ms to %s allowed", field, text, longest)
	}
	return d, nil
}

// fault is the line as one planned fault, without its times drawn.
func (l line) fault() history.PlannedFault {
	return history.PlannedFault{
		Lane: l.lane, Kind: l.kind, Target: l.target, Args: l.args,
		At: history.Duration(l.at.least), For: history.Duration(l.length.least),
	}
}

// expand draws every repetition that begins within the main phase, and ends each with the phase.
func (l line) expand(r *rand.Rand, length time.Duration) []history.PlannedFault {
	var plan []history.PlannedFault
	for start := time.Duration(0); ; start += l.every {
		f := l.fault()
		f.At, f.For, f.Seed = history.Duration(start)+l.at.draw(r), l.length.draw(r), int64(r.Uint64()>>12)
		if time.Duration(f.At) >= length {
			break
		}
		f.For = min(f.For, history.Duration(length)-f.At)
		plan = append(plan, f)
		if l.every == 0 {
			break
		}
	}
	return plan
}

// checkLanes refuses faults of one lane that overlap: the later one would come late.
func checkLanes(plan []history.PlannedFault) error {
	last := make(map[string]history.PlannedFault)
	for _, f := range plan {
		if before, ok := last[f.Lane]; ok && f.At < before.At+before.For {
			return fmt.Errorf("lane %s: %s begins while %s is in; give one of them another lane", f.Lane, f, before)
		}
		last[f.Lane] = f
	}
	return nil
}

// Text writes a plan in the form that Expand reads. What a fault draws when it is put in is drawn anew from the seed.
func Text(plan []history.PlannedFault) string {
	var b strings.Builder
	for _, f := range plan {
		if f.Lane != f.Kind {
			fmt.Fprintf(&b, "lane %s ", f.Lane)
		}
		fmt.Fprintf(&b, "at %s %s %s", f.At, f.Kind, f.Target)
		for _, name := range slices.Sorted(maps.Keys(f.Args)) {
			value := f.Args[name]
			if value == "" || strconv.Quote(value) != `"`+value+`"` || strings.Contains(value, " ") {
				value = strconv.Quote(value)
			}
			fmt.Fprintf(&b, " %s=%s", name, value)
		}
		fmt.Fprintf(&b, " for %s\n", f.For)
	}
	return b.String()
}
