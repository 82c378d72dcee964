package nemesis

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"rift/harness/history"
)

// line is one line of a plan.
type line struct {
	lane, kind, target string
	args               map[string]string
	at, length         span
	every              time.Duration // 0: once
	times              int           // at most; 0: until the main phase ends
	given              []string      // fields and arguments, by their names
}

// span is a range of times, both ends included; both are the same where nothing is to be drawn.
type span struct{ least, most time.Duration }

func (s span) draw(r *rand.Rand) history.Duration {
	if s.most <= s.least {
		return history.Duration(s.least)
	}
	return history.Duration(between(r, s.least, s.most+time.Millisecond))
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
		return l, errors.New("no kind of fault given: at TIME [every TIME [times N]] KIND [TARGET] [name=value ...] for TIME")
	case l.length.least <= 0:
		return l, errors.New("for: a time above 0 wanted, such as for 4s")
	case l.times > 0 && l.every == 0:
		return l, errors.New("times: given without every, as in every 10s times 3")
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

// lineFields are the words that begin a field of a line.
var lineFields = []string{"at", "every", "times", "for", "lane"}

// take reads the next field, and gives the words after it.
func (l *line) take(words []string) ([]string, error) {
	word := words[0]
	name, value, isArg := strings.Cut(word, "=")
	switch {
	case slices.Contains(lineFields, word):
		if len(words) < 2 {
			return nil, fmt.Errorf("%s: nothing given", word)
		}
		return words[2:], cmp.Or(l.once(word), l.set(word, words[1]))
	case isArg:
		return words[1:], cmp.Or(l.once(name), l.argument(name, value))
	case l.kind == "":
		l.kind = word
	case l.target == "":
		l.target = word
	default:
		return nil, UnknownError{Field: "word after the target", Given: word, Allowed: lineFields, Or: "name=value"}
	}
	return words[1:], nil
}

// once refuses what is given twice in one line.
func (l *line) once(name string) error {
	if slices.Contains(l.given, name) {
		return fmt.Errorf("%s: given twice", name)
	}
	l.given = append(l.given, name)
	return nil
}

func (l *line) set(field, value string) (err error) {
	switch field {
	case "at":
		l.at, err = parseSpan(field, value)
	case "for":
		l.length, err = parseSpan(field, value)
	case "every":
		l.every, err = parsePositive(field, value)
	case "times":
		if l.times, err = strconv.Atoi(value); err != nil || l.times < 1 {
			err = fmt.Errorf("times: %q given, a number from 1 on allowed", value)
		}
	case "lane":
		l.lane = value
	}
	return err
}

func (l *line) argument(name, value string) error {
	if strings.Contains(value, `"`) {
		unquoted, err := strconv.Unquote(value)
		if err != nil {
			return fmt.Errorf("%s: %s given, a value in double quotes or without any allowed", name, value)
		}
		value = unquoted
	}
	l.args[name] = value
	return nil
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
	for start := time.Duration(0); l.times == 0 || len(plan) < l.times; start += l.every {
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
