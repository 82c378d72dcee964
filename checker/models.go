package checker

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"rift/harness/history"
)

// Models lists every model in its usual form. To add one, write one file and one line here.
func Models() []Model {
	return []Model{
		Register(), VersionedRegister(), MultiRegister(nil), GrowingSet(), Counter(0),
		Queue(), UnorderedQueue(), Stack(),
		Mutex(), OwnedMutex(), ReentrantMutex(2), FencedLock(), Semaphore(2),
	}
}

// items is a state that holds values in an order: their texts, one a line. JSON has no raw newlines.
type items string

func (s items) split() []string {
	if s == "" {
		return nil
	}
	return strings.Split(string(s), "\n")
}

func join(values []string) items { return items(strings.Join(values, "\n")) }

// with is s and one more value behind.
func (s items) with(v string) items {
	if s == "" {
		return items(v)
	}
	return s + "\n" + items(v)
}

// describe is the state in words: "the queue holds [1, 2]".
func (s items) describe(noun string) string {
	return fmt.Sprintf("the %s holds [%s]", noun, strings.ReplaceAll(string(s), "\n", ", "))
}

// sortedItems reads a JSON array as a state in which the order does not matter.
func sortedItems(b json.RawMessage) (items, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return "", fmt.Errorf("value: %.60s given, an array allowed", b)
	}
	values := make([]string, len(list))
	for i, element := range list {
		values[i] = text(element)
	}
	slices.Sort(values)
	return join(values), nil
}

// whole reads a JSON number that is whole; null and nothing are the usual one.
func whole(b json.RawMessage, usual int) (int, error) {
	if text(b) == null {
		return usual, nil
	}
	var n int
	if err := json.Unmarshal(b, &n); err != nil {
		return 0, fmt.Errorf("value: %s given, a whole number allowed", b)
	}
	return n, nil
}

// holder names who acts on a lock: the client that the value names, else the process.
func holder(o history.Operation) string {
	if name := text(o.Input); name != null {
		return name
	}
	return fmt.Sprintf("process %d", o.Process)
}
