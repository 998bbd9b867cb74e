package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// waiting is the number of events that wait for destinations, without those that a
// paused destination always refuses; -1 if it isn't known now.
func (r *run) waiting(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.admin+"/api/destinations", http.NoBody)
	if err != nil {
		return -1
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return -1
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	body, err := io.ReadAll(resp.Body)
	var list []destinationState
	if err != nil || json.Unmarshal(body, &list) != nil || len(list) != len(r.onwards.list) {
		return -1
	}
	n := 0
	for _, d := range list {
		i := slices.IndexFunc(r.onwards.list, func(o *destination) bool { return o.name == d.Name })
		if i < 0 {
			return -1
		}
		if o := r.onwards.list[i]; o.poison && d.State == "paused" && d.Waiting > 0 {
			journal, err := r.receiver.History(ctx)
			if err != nil {
				return -1
			}
			dead, err := r.deadLetters(ctx)
			if err != nil {
				return -1
			}
			d.Waiting = o.lacks(journal, dead[d.Name])
		}
		n += d.Waiting
	}
	return n
}

// lacks is the number of events of a journal that the destination has not accepted
// yet, without dead letters and those that it always refuses.
func (d *destination) lacks(journal []Event, dead map[string]bool) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	got := map[string]bool{}
	for _, a := range d.arrivals {
		got[a.event.ID] = got[a.event.ID] || a.ok
	}
	for _, e := range journal {
		if forDestinations(e) && !got[e.ID] && !dead[e.ID] && !(d.poison && poisonous(e)) {
			n++
		}
	}
	return n
}

// forDestinations reports whether an event goes to destinations with the default
// settings.
func forDestinations(e Event) bool {
	return !strings.HasPrefix(e.Event, "kazoohook.") && (e.Verified == nil || *e.Verified)
}

// destinationState is the receiver's report on a destination.
type destinationState struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Waiting int    `json:"waiting"`
	Dead    int    `json:"dead"`
}

// destinationStates reads the states from a stopped receiver.
func (r *run) destinationStates(ctx context.Context) (map[string]destinationState, error) {
	out, err := r.receiver.Command(ctx, "destinations", "--format", "json")
	if err != nil {
		return nil, err
	}
	var list []destinationState
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("read the destinations: %w", err)
	}
	states := map[string]destinationState{}
	for _, d := range list {
		states[d.Name] = d
	}
	return states, nil
}

// deadLetters returns the ids of dead letters, by destination.
func (r *run) deadLetters(ctx context.Context) (map[string]map[string]bool, error) {
	out, err := r.receiver.Command(ctx, "dead", "--format", "json")
	if err != nil {
		return nil, err
	}
	var letters []struct {
		Destination string `json:"destination"`
		EventID     string `json:"event_id"`
	}
	if err := json.Unmarshal(out, &letters); err != nil {
		return nil, fmt.Errorf("read the dead letters: %w", err)
	}
	dead := map[string]map[string]bool{}
	for _, l := range letters {
		if dead[l.Destination] == nil {
			dead[l.Destination] = map[string]bool{}
		}
		dead[l.Destination][l.EventID] = true
	}
	return dead, nil
}
