package trial

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
)

// History reads the whole journal of a stopped receiver, in order, by the command
// kazoohook events.
func (r *Receiver) History(ctx context.Context) ([]Event, error) {
	const page = 50_000
	var all []Event
	for after := int64(0); ; {
		args := []string{"events", "--oldest-first", "--format", "json", "--limit", strconv.Itoa(page)}
		if after > 0 {
			args = append(args, "--after", strconv.FormatInt(after, 10))
		}
		out, err := r.Command(ctx, args...)
		if err != nil {
			return nil, err
		}
		n := 0
		for line := range bytes.Lines(out) {
			e, err := ParseEvent(line)
			if err != nil {
				return nil, fmt.Errorf("read the journal: %w: %.200q", err, line)
			}
			all = append(all, e)
			after = e.Seq
			n++
		}
		if n < page {
			return all, nil
		}
	}
}

// Compare proves that the journal, in order, and the log, by event_id, hold the
// same events, and that no number is missing. A restored journal lacks the events
// since its copy was made, and its numbers jump.
func Compare(journal []Event, logged map[string]Event, restored ...restoration) (violations []string) {
	held := make(map[string]bool, len(journal))
	last := int64(0)
	for _, ev := range journal {
		if ev.Seq != last+1 && (len(restored) == 0 || ev.Seq <= last) {
			violations = append(violations, fmt.Sprintf("the journal has seq %d after %d", ev.Seq, last))
		}
		last = ev.Seq
		if held[ev.ID] {
			violations = append(violations, "the journal has event_id "+ev.ID+" twice")
		}
		held[ev.ID] = true
		switch line, ok := logged[ev.ID]; {
		case !ok:
			violations = append(violations, fmt.Sprintf("event %d (%s) is in the journal and not in the log", ev.Seq, ev.ID))
		case line.content != ev.content:
			violations = append(violations, fmt.Sprintf("event %d is another in the log than in the journal:\n\t%s\n\t%s", ev.Seq, line.content, ev.content))
		}
	}
	for id, ev := range logged {
		lost := slices.ContainsFunc(restored, func(r restoration) bool { return ev.seen.After(r.copied) && ev.seen.Before(r.at) })
		if !held[id] && !lost {
			violations = append(violations, fmt.Sprintf("event %d (%s) was logged and is not in the journal", ev.Seq, id))
		}
	}
	return violations
}
