package handlers

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kazoohook/internal/event"
)

const (
	maxFilters   = 100 // values of one filter
	maxFilterLen = 256
)

// queryParams reads the filters that /api/events and /api/events/stream share:
// since, until, event, account, object, source, text, after, before. A parameter
// may be given more than once or hold several values separated by commas. Errors
// may be shown to the caller.
func queryParams(v url.Values, now time.Time) (event.Query, error) {
	var q event.Query
	var err error
	if q.Since, err = timeParam(v, "since", now); err != nil {
		return q, err
	}
	if q.Until, err = timeParam(v, "until", now); err != nil {
		return q, err
	}
	if q.Events, err = listParam(v, "event"); err != nil {
		return q, err
	}
	if q.Accounts, err = listParam(v, "account"); err != nil {
		return q, err
	}
	if q.Objects, err = listParam(v, "object"); err != nil {
		return q, err
	}
	names, err := listParam(v, "source")
	if err != nil {
		return q, err
	}
	for _, name := range names {
		if !slices.Contains(event.Sources(), event.Source(name)) {
			return q, fmt.Errorf("source: webhook, recovered, resync or receiver")
		}
		q.Sources = append(q.Sources, event.Source(name))
	}
	if q.Text = v.Get("text"); len(q.Text) > maxFilterLen {
		return q, fmt.Errorf("text: at most %d bytes", maxFilterLen)
	}
	if q.After, err = seqParam(v, "after"); err != nil {
		return q, err
	}
	if q.Before, err = seqParam(v, "before"); err != nil {
		return q, err
	}
	switch v.Get("order") {
	case "", "newest":
	case "oldest":
		q.OldestFirst = true
	default:
		return q, fmt.Errorf("order: newest (default) or oldest")
	}
	return q, nil
}

// limitParam reads limit: 1 to most, fallback if absent.
func limitParam(v url.Values, fallback, most int) (int, error) {
	s := v.Get("limit")
	if s == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("limit: a number from 1 to %d", most)
	}
	return n, nil
}

// flagParam reads true or false; false if absent.
func flagParam(v url.Values, name string) (bool, error) {
	given := v.Get(name)
	if given == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(given)
	if err != nil {
		return false, fmt.Errorf("%s: true or false", name)
	}
	return on, nil
}

func seqParam(v url.Values, name string) (int64, error) {
	s := v.Get(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s: the seq of an event, a number from 0", name)
	}
	return n, nil
}

func listParam(v url.Values, name string) ([]string, error) {
	var list []string
	for _, given := range v[name] {
		for s := range strings.SplitSeq(given, ",") {
			if s = strings.TrimSpace(s); s == "" {
				continue
			}
			if len(s) > maxFilterLen || len(list) == maxFilters {
				return nil, fmt.Errorf("%s: at most %d values of at most %d bytes", name, maxFilters, maxFilterLen)
			}
			list = append(list, s)
		}
	}
	return list, nil
}

func timeParam(v url.Values, name string, now time.Time) (time.Time, error) {
	s := v.Get(name)
	if s == "" {
		return time.Time{}, nil
	}
	t, ok := ParseTime(s, now)
	if !ok {
		return t, fmt.Errorf("%s: %s", name, TimeForms)
	}
	return t, nil
}

// TimeForms says what ParseTime takes.
const TimeForms = "a time like 2006-01-02T15:04:05Z, a date like 2006-01-02 (UTC), or how long ago, like 90m, 2h, 7d or 1d12h"

// ParseTime takes RFC 3339, a date or a time without zone (both UTC), or a
// duration, which means that long ago.
func ParseTime(s string, now time.Time) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	d, ok := parseAgo(s)
	if !ok {
		return time.Time{}, false
	}
	return now.Add(-d).UTC(), true
}

// parseAgo takes Go's durations, and weeks and days before them (2w, 7d, 1d12h), up
// to a century.
func parseAgo(s string) (time.Duration, bool) {
	const day, most = 24 * time.Hour, 100 * 366 * 24 * time.Hour
	sum := time.Duration(0)
	for _, unit := range []struct {
		suffix string
		length time.Duration
	}{{"w", 7 * day}, {"d", day}} {
		number, rest, ok := strings.Cut(s, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return 0, false
		}
		sum, s = sum+time.Duration(n)*unit.length, rest
		if s == "" {
			return sum, sum <= most
		}
	}
	d, err := time.ParseDuration(s)
	return sum + d, err == nil && d >= 0 && sum+d <= most
}
