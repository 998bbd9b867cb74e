package trial

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"
)

// Lines collects the receiver's output, over all its lives.
type Lines struct {
	mu        sync.Mutex
	events    map[string]Event // by event_id
	lines     int              // of events
	repeats   []repeat
	turns     []time.Time // when a node of a cluster began to lead
	conflicts []string
	resyncs   []time.Time // ends of complete comparisons
	baseline  bool
	held      bool // a comparison waits for confirmation
	messages  map[string]int
	repeated  int // requests that were duplicates
	panics    []string
}

// repeat is a further line of an event.
type repeat struct {
	seq int64
	at  time.Time
}

func newLines() *Lines {
	return &Lines{events: map[string]Event{}, messages: map[string]int{}}
}

// Take reads one whole line.
func (l *Lines) Take(line []byte) {
	var head struct {
		Event     string `json:"event"`
		Level     string `json:"level"`
		Message   string `json:"message"`
		Duplicate bool   `json:"duplicate"`
	}
	if json.Unmarshal(line, &head) != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.conflicts = append(l.conflicts, fmt.Sprintf("a line of the log is not JSON: %.200q", line))
		return
	}
	if head.Event == "" {
		l.note(head.Level, head.Message, head.Duplicate, line)
		return
	}
	e, err := ParseEvent(line)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.conflicts = append(l.conflicts, fmt.Sprintf("an event can't be read: %v: %.300q", err, line))
		return
	}
	if before, ok := l.events[e.ID]; ok && before.content != e.content {
		l.conflicts = append(l.conflicts, fmt.Sprintf("event_id %s has two contents:\n\t%s\n\t%s", e.ID, before.content, e.content))
	}
	l.lines++
	if before, ok := l.events[e.ID]; ok {
		e.seen = before.seen
		l.repeats = append(l.repeats, repeat{e.Seq, time.Now()})
	} else {
		e.seen = time.Now()
	}
	l.events[e.ID] = e
}

func (l *Lines) note(level, message string, duplicate bool, line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if level != "debug" {
		l.messages[level+": "+message]++
	}
	switch {
	case strings.HasPrefix(message, "request taken") && duplicate:
		l.repeated++
	case strings.HasPrefix(message, "resync: the first listing"):
		l.baseline = true
		l.resyncs = append(l.resyncs, time.Now())
	case strings.HasPrefix(message, "resync: Kazoo's objects were compared"):
		l.resyncs = append(l.resyncs, time.Now())
	case strings.HasPrefix(message, "too many objects are ") && strings.Contains(message, "confirm"):
		l.held = true
	case message == "this node leads the cluster":
		l.turns = append(l.turns, time.Now())
	case strings.HasPrefix(message, "panic"):
		l.panics = append(l.panics, string(bytes.Clone(line)))
	}
}

// hasBaseline reports that a first comparison was complete.
func (l *Lines) hasBaseline() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.baseline
}

// takeHeld reports once that a comparison waits for confirmation.
func (l *Lines) takeHeld() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.held
	l.held = false
	return held
}

// completions are the times at which complete comparisons ended.
func (l *Lines) completions() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]time.Time(nil), l.resyncs...)
}

// Messages counts the messages above the debug level, by level and text.
func (l *Lines) Messages() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.messages)
}

// Logged are the events of the log, by event_id.
func (l *Lines) Logged() map[string]Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.events)
}

// Conflicts lists violations within the lines themselves: one event_id with two
// contents, a line that can't be read, a panic.
func (l *Lines) Conflicts() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := append([]string(nil), l.conflicts...)
	for _, p := range l.panics {
		out = append(out, fmt.Sprintf("the receiver panicked: %.2000s", p))
	}
	return out
}
