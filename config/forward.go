package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// forward returns the destination that the FORWARD_ settings describe.
func (c *Config) forward() Destination {
	d := newDestination(forwardName)
	d.Type, d.URL, d.Events = "http", c.ForwardURL, c.ForwardEvents
	if !c.ForwardSecret.Empty() {
		d.Secret = NewSecret(strings.Join(strings.Fields(c.ForwardSecret.Reveal()), "\n"))
	}
	return d
}

// Forward reports whether FORWARD_URL made this destination.
func (d Destination) Forward() bool { return d.Name == forwardName && d.files == nil }

// destinations checks the FORWARD_ settings.
func (v *validator) destinations(compile Compile) {
	secret, events := !v.ForwardSecret.Empty(), len(v.ForwardEvents) > 0
	for name, given := range map[string]bool{"FORWARD_SECRET": secret, "FORWARD_EVENTS": events} {
		if given && v.ForwardURL.Empty() && !v.bad["FORWARD_URL"] {
			v.fail(name, "", "has no effect without FORWARD_URL; give the address to deliver to")
		}
	}
	if secret {
		if _, err := signingKeys(v.ForwardSecret.Reveal()); err != nil {
			v.fail("FORWARD_SECRET", masked, "%s", err)
		}
	}
	if v.ForwardURL.Empty() || v.bad["FORWARD_URL"] || v.bad["FORWARD_SECRET"] || v.bad["FORWARD_EVENTS"] || len(v.problems.of("FORWARD_SECRET")) > 0 {
		return
	}
	if slices.ContainsFunc(v.Destinations, func(d Destination) bool { return d.Name == forwardName && !d.Forward() }) {
		v.fail(destinationsKey+"."+forwardName, "", "is given together with FORWARD_URL, which makes a destination of this name; rename it, or leave FORWARD_URL out")
		return
	}
	if compile == nil {
		return
	}
	problems, _ := compile(v.forward())
	for _, p := range problems {
		v.problems.add(forwardVariable(p.Variable), p.Value, p.Text)
	}
}

// forwardVariable returns the variable that sets a place of the destination.
func forwardVariable(place string) string {
	switch topKey(place) {
	case "secret":
		return "FORWARD_SECRET"
	case "events":
		return "FORWARD_EVENTS"
	}
	return "FORWARD_URL"
}

// of returns the problems of a variable.
func (ps Problems) of(variable string) (list Problems) {
	for _, p := range ps {
		if p.Variable == variable {
			list = append(list, p)
		}
	}
	return list
}

// Backlog bounds what is kept for destinations beyond the journal's own limits, by
// size, by age, or both. 0 is no bound.
type Backlog struct {
	Bytes Size
	Age   time.Duration
}

// String returns the text that the setting takes.
func (b Backlog) String() string {
	var parts []string
	if b.Bytes > 0 {
		parts = append(parts, b.Bytes.String())
	}
	if b.Age > 0 {
		age := formatDuration(b.Age)
		if day := 24 * time.Hour; b.Age%day == 0 {
			age = fmt.Sprintf("%dd", b.Age/day)
		}
		parts = append(parts, age)
	}
	return strings.Join(parts, ",")
}

// UnmarshalText accepts a size, a duration, or both with a comma.
func (b *Backlog) UnmarshalText(text []byte) error {
	bad := errors.New("is not a bound of a backlog; use a size, an age or both, e.g. 10GiB,90d")
	var out Backlog
	for part := range strings.SplitSeq(string(text), ",") {
		part = strings.TrimSpace(part)
		var size Size
		if d, err := parseDuration(part); err == nil && d > 0 && out.Age == 0 {
			out.Age = d
		} else if err := size.UnmarshalText([]byte(part)); err == nil && size > 0 && out.Bytes == 0 {
			out.Bytes = size
		} else {
			return bad
		}
	}
	*b = out
	return nil
}
