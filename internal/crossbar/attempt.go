package crossbar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// MaxWindow is the longest time that Kazoo takes in one query of attempts.
const MaxWindow = 31 * 24 * time.Hour

// MaxAttemptPages is the most pages, of up to 500 attempts, that one call of
// Attempts reads.
const MaxAttemptPages = 200

// Attempt is Kazoo's record of one try to deliver an event. By default only
// failures are kept (kazoo 4.3 applications/webhooks/src/webhooks_util.erl).
type Attempt struct {
	HookID      string
	HookEvent   string // lower case; Kazoo records the names of channel hooks in upper case
	EventID     string // the same for all tries of one firing; never on the wire
	URI         string // holds our secret segment: not for logs
	Method      string // "post", "get" or "put"; lower case
	Header      map[string]string
	Body        json.RawMessage // req_body as stored: nested arrays of strings (form) or a string
	Time        time.Time       // Kazoo's clock, to the second, UTC
	Result      string          // "failure"; "success" where an operator keeps those too
	Reason      string          // Kazoo's words
	Status      string          // status of the answer; empty if there was none
	RespBody    string
	ClientError string // Kazoo's words for a transport error
	Try         int    // which try was answered; 0 unknown
	Retries     int    // tries in all; only transport errors have it; 0 unknown
	RetriesLeft int    // -1 unknown
	// Last: no further try of this firing follows, because this one was answered
	// (any answer is final) or the tries are used up.
	Last bool
}

// Attempts lists the recorded attempts of a hook, or of all hooks of the account
// if hookID is empty, from (inclusive) to (inclusive), newest first, all pages.
// The window is Kazoo's clock and at most MaxWindow. An error comes last; without
// one the listing was complete.
//
// After MaxAttemptPages the error is a *LimitError, and the newest attempts have
// been given. To continue, call again with the time of the oldest given attempt as
// to. There may be more attempts in that second, so that second's attempts come
// again. If the oldest time doesn't change between two calls, the listing can't be
// completed.
func (c *Client) Attempts(ctx context.Context, account, hookID string, from, to time.Time) iter.Seq2[Attempt, error] {
	return func(yield func(Attempt, error) bool) {
		path, err := attemptsPath(account, hookID, from, to)
		if err != nil {
			yield(Attempt{}, err)
			return
		}
		l := &listing{c: c, key: itemContent, maxPages: c.limits.attempts, req: request{op: opAttempts, path: path, auth: true, query: url.Values{
			"created_from": {gregorian(from)}, "created_to": {gregorian(to)},
		}}}
		for raw, err := range l.items(ctx) {
			var a Attempt
			if err == nil {
				a, err = parseAttempt(raw)
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}

func attemptsPath(account, hookID string, from, to time.Time) (string, error) {
	switch window := to.Sub(from); {
	case window < 0:
		return "", errors.New("crossbar: the window of attempts ends before it begins")
	case window > MaxWindow:
		return "", fmt.Errorf("crossbar: a window of attempts is at most 31 days, not %s", window)
	}
	if hookID == "" {
		return resource("accounts", account, "webhooks", "attempts")
	}
	return resource("accounts", account, "webhooks", hookID, "attempts")
}

func gregorian(t time.Time) string { return strconv.FormatInt(t.Unix()+GregorianEpoch, 10) }

// parseAttempt reads an attempt from the API. It also knows the field names of
// older Kazoos.
func parseAttempt(raw json.RawMessage) (Attempt, error) {
	var doc map[string]json.RawMessage
	if err := object(raw, &doc); err != nil {
		return Attempt{}, errors.New("crossbar: an attempt is not an object")
	}
	first := func(keys ...string) json.RawMessage {
		for _, k := range keys {
			if v, ok := doc[k]; ok {
				return v
			}
		}
		return nil
	}
	a := Attempt{
		HookID: text(doc["hook_id"]), HookEvent: strings.ToLower(text(doc["hook_event"])), EventID: text(doc["event_id"]),
		URI: text(doc["uri"]), Method: strings.ToLower(text(doc["method"])), Body: doc["req_body"],
		Result: text(doc["result"]), Reason: text(doc["reason"]),
		Status:      text(first("resp_status_code", "response_code")),
		RespBody:    text(first("resp_body", "response_body")),
		ClientError: text(doc["client_error"]),
		Try:         integer(doc["try"], 0), Retries: integer(doc["retries"], 0),
	}
	var header map[string]json.RawMessage
	if json.Unmarshal(doc["req_headers"], &header) == nil && len(header) > 0 {
		a.Header = make(map[string]string, len(header))
		for k, v := range header {
			a.Header[strings.ToLower(k)] = words(v)
		}
	}
	if s, err := strconv.ParseFloat(text(doc["timestamp"]), 64); err == nil && s > 0 && s < 2*GregorianEpoch {
		a.Time = time.Unix(int64(s)-GregorianEpoch, 0).UTC()
	}
	const exceeded = "retries exceeded"
	left := first("retries_left", "retries left")
	a.RetriesLeft = integer(left, -1)
	if text(left) == exceeded || a.Reason == exceeded {
		a.RetriesLeft = 0
	}
	a.Last = a.Status != "" || a.RetriesLeft == 0 || a.Result == "success"
	return a, nil
}
