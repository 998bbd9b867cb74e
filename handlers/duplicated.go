package handlers

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"

	"kazoohook/internal/event"
)

// historyOf returns the history that a query reads: all events, or with
// duplicate=true those whose duplicates are kept.
func historyOf(ctx context.Context, d AdminDeps, values url.Values) (History, error) {
	given := values.Get("duplicate")
	if given == "" {
		return d.History, nil
	}
	switch only, err := strconv.ParseBool(given); {
	case err != nil:
		return nil, errors.New("duplicate: true (events that Kazoo sent more than once) or false")
	case !only:
		return d.History, nil
	}
	if d.Exchanges == nil {
		return nil, errors.New("duplicate: only the running service knows of duplicates")
	}
	seqs := d.Exchanges.Duplicated()
	if d.Cluster.Duplicated != nil {
		seqs = slices.Concat(seqs, d.Cluster.Duplicated(ctx))
		slices.Sort(seqs)
		seqs = slices.Compact(seqs)
	}
	return someOf{d.History, seqs}, nil
}

// someOf is the history of a few events.
type someOf struct {
	History
	seqs []int64 // ascending
}

// Query reads the events one by one.
func (s someOf) Query(ctx context.Context, q event.Query) (found []event.Record, next int64, err error) {
	seqs := slices.Clone(s.seqs)
	if !q.OldestFirst {
		slices.Reverse(seqs)
	}
	for _, seq := range seqs {
		if seq <= q.After || q.Before > 0 && seq >= q.Before {
			continue
		}
		if len(found) >= q.Limit {
			return found, found[len(found)-1].Seq, nil
		}
		one, _, err := s.History.Query(ctx, event.Query{After: seq - 1, OldestFirst: true, Limit: 1})
		if err != nil {
			return nil, 0, err
		}
		if len(one) > 0 && one[0].Seq == seq && q.Match(one[0]) {
			found = append(found, one[0])
		}
	}
	return found, 0, nil
}
