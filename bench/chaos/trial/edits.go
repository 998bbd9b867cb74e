package trial

import (
	"encoding/json"
	"fmt"
)

// edits judges the edits of users, if HOOKS asks for them. Each edit that arrived or
// is on Kazoo's record is an event of its own, even if two are identical. For each
// further try that may have arrived one more event is allowed, and counted in
// doubles.
func (e *evidence) edits() (violations []string, doubles int) {
	if !e.visible() {
		return nil, 0
	}
	events := e.known("user.edited")
	for id, firings := range e.byObject() {
		least, likely, most := e.bounds(firings)
		n := len(events[id])
		doubles += max(0, n-likely)
		switch {
		case n < least:
			violations = append(violations, fmt.Sprintf("user %s was edited %d times, to be known by answers or Kazoo's record, and has %d user.edited: %s; %s",
				id, least, n, describe(events[id]), listFirings(firings)))
		case n > most && len(e.restored) == 0: // after a restore the record is read again
			violations = append(violations, fmt.Sprintf("of user %s there are %d user.edited, and %d requests at most: %s; %s", id, n, most, describe(events[id]), listFirings(firings)))
		}
	}
	return violations, doubles
}

// bounds returns how many edits of a user there must be, probably are, and may be at
// most. An edit that came by two of our hooks, one replacing the other, is one event
// if the requests have the document's revision.
func (e *evidence) bounds(firings []firing) (least, likely, most int) {
	must, is := map[string]bool{}, map[string]bool{}
	for i, f := range firings {
		if f.Action != "doc_edited" || f.elsewhere {
			continue
		}
		most += f.Tries + f.Resends
		if !f.arrived() {
			most++ // read back from the record
		}
		edit := revision(f)
		if edit == "" {
			edit = fmt.Sprint("firing ", i)
		}
		if f.arrived() && !e.forgotten(f.ended) || e.onRecord(f) {
			must[edit] = true
		}
		if f.arrived() || f.failed() {
			is[edit] = true
		}
	}
	return len(must), len(is), most
}

// revision is the document's revision after the change of a firing; "" if the
// request doesn't have it, as in version 1.
func revision(f firing) string {
	var body struct {
		Data struct {
			Rev string `json:"rev"`
		} `json:"data"`
	}
	if json.Unmarshal(f.Body, &body) != nil {
		return "" // a form
	}
	return body.Data.Rev
}
