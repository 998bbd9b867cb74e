package crossbar

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Sentinel errors, for errors.Is.
var (
	// ErrAmbiguous: Kazoo may or may not have done what was asked, and asking
	// again could do it twice. List and compare before trying again.
	ErrAmbiguous = errors.New("the outcome is unknown")
	// ErrIncomplete: a listing that was given in part and cannot be completed.
	ErrIncomplete = errors.New("the listing is incomplete")
	// ErrTimeout: one request took longer than Options.Timeout.
	ErrTimeout = errors.New("no answer in time")
)

// Our own codes of Error.
const (
	CodeNotJSON   = "not_json"  // the answer is not a Crossbar envelope: a proxy's page, another service
	CodeTooLarge  = "too_large" // the answer exceeds a limit
	CodeRedirect  = "redirect"  // redirects are not followed
	CodeMalformed = "malformed" // a success without its content
)

// Error is a failed call of the API. Its text is for the operator and holds no
// secrets, whatever Kazoo echoed.
type Error struct {
	Op         string          // what was done, one of Operations
	Method     string          // HTTP method
	URL        string          // without query and user info
	Status     int             // HTTP status, or Kazoo's own if it answered 200 to an error; 0: no answer
	Code       string          // Kazoo's error code (a string of digits) or one of the Code constants
	Message    string          // Kazoo's words
	Detail     json.RawMessage // Kazoo's detail, masked; nil if none
	RequestID  string          // identifies the request in Kazoo's logs
	Attempts   int             // how often it was tried
	RetryAfter time.Duration   // what the answer asked us to wait
	NextTry    time.Time       // after a refused login: no new try before this
	Err        error           // the cause if there was no answer: network, TLS, context

	cause     string // Err, masked
	ambiguous bool
	retry     bool
	tokenSent bool
}

// because sets the cause and returns the error.
func (e *Error) because(s *secrets, err error) *Error {
	e.Err, e.cause = err, s.line(err.Error(), maxWords)
	return e
}

// Unwrap returns the cause and, where it applies, ErrAmbiguous.
func (e *Error) Unwrap() []error {
	var all []error
	if e.Err != nil {
		all = append(all, e.Err)
	}
	if e.ambiguous {
		all = append(all, ErrAmbiguous)
	}
	if e.Code == CodeTooLarge {
		all = append(all, ErrLimit)
	}
	return all
}

// IsNotFound reports whether Kazoo answered that the object does not exist. A 404
// without Kazoo's envelope proves nothing and doesn't count. Neither does the 404
// of a login, which is about the API key.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.answered() && e.Op != opLogin
}

// IsUnauthorized reports whether Kazoo refused our credentials or our token.
func IsUnauthorized(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	// Kazoo answers 404 for an unknown API key (cb_api_auth.erl).
	return e.Status == http.StatusUnauthorized || e.Op == opLogin && e.answered() && e.Status == http.StatusNotFound
}

// IsOfObject reports whether a failure may concern only the object that was asked for:
// Kazoo itself answered, and not about our login, our token or its rate limit.
func IsOfObject(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	return e.answered() && e.Op != opLogin && e.Status != http.StatusUnauthorized && e.Status != http.StatusTooManyRequests
}

// answered reports whether Status is Kazoo's own.
func (e *Error) answered() bool { return e.Err == nil && e.Code != CodeNotJSON }

// Error returns what was done and where, how it failed in Kazoo's words, and what
// to do.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(doing(e.Op))
	if e.URL != "" {
		fmt.Fprintf(&b, " (%s)", strings.TrimSpace(e.Method+" "+e.URL))
	}
	b.WriteString(" failed")
	sep := ": "
	add := func(s string) {
		if s != "" {
			b.WriteString(sep + s)
			sep = ": "
		}
	}
	if e.Status != 0 {
		add(fmt.Sprintf("%d", e.Status))
		sep = " "
	}
	add(e.Message)
	add(e.details())
	cause := e.cause
	if cause == "" && e.Err != nil {
		cause = e.Err.Error()
	}
	add(cause)
	if e.ambiguous {
		add("Kazoo may have done it anyway")
	}
	var notes []string
	if e.Attempts > 1 {
		notes = append(notes, fmt.Sprintf("%d attempts", e.Attempts))
	}
	if e.RequestID != "" {
		notes = append(notes, "request id "+e.RequestID)
	}
	if len(notes) > 0 {
		fmt.Fprintf(&b, " [%s]", strings.Join(notes, ", "))
	}
	if h := e.hint(); h != "" {
		b.WriteString("; " + h)
	}
	if !e.NextTry.IsZero() {
		b.WriteString("; not tried again before " + e.NextTry.UTC().Format(time.RFC3339))
	}
	return b.String()
}

// doing describes an operation in words.
func doing(op string) string {
	switch op {
	case opLogin:
		return "logging in to Kazoo"
	case opOffered:
		return "asking which hooks Kazoo offers"
	case opSamples:
		return "fetching Kazoo's sample payloads"
	case opHooksList:
		return "listing hooks"
	case opHooksGet:
		return "reading a hook"
	case opHooksCreate:
		return "creating a hook"
	case opHooksSet:
		return "replacing a hook"
	case opHooksEnable:
		return "enabling a hook"
	case opHooksDelete:
		return "deleting a hook"
	case opAttempts:
		return "reading failed attempts"
	case opObjectsList:
		return "listing objects"
	case opObjectsGet:
		return "reading an object"
	case opDescendants:
		return "listing descendant accounts"
	}
	return "calling Kazoo's API"
}
