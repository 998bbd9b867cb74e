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

// Codes of Error that are ours, not Kazoo's.
const (
	CodeNotJSON   = "not_json"  // the answer is no Crossbar envelope: a proxy's page, another service
	CodeTooLarge  = "too_large" // the answer is beyond all measure
	CodeRedirect  = "redirect"  // redirects are not followed
	CodeMalformed = "malformed" // an envelope of a success without its content
)

// Error is a failed call of the API. Its text is for a person at a console and
// holds no secrets, whatever Kazoo echoed.
type Error struct {
	Op         string          // what was done, one of Operations
	Method     string          // HTTP method
	URL        string          // without query and user info
	Status     int             // HTTP status, or Kazoo's own where it said 200 to an error; 0: no answer
	Code       string          // Kazoo's error code (a string of digits) or one of the Code constants
	Message    string          // Kazoo's words
	Detail     json.RawMessage // Kazoo's detail, masked; nil if none
	RequestID  string          // by which Kazoo's operator finds it in his logs
	Attempts   int             // how often it was tried
	RetryAfter time.Duration   // what the answer asked us to wait
	NextTry    time.Time       // set where a refused login is not repeated before then
	Err        error           // cause where there was no answer: network, TLS, context

	cause     string // Err, masked
	ambiguous bool
	retry     bool
}

// because sets the cause and gives the error itself.
func (e *Error) because(s *secrets, err error) *Error {
	e.Err, e.cause = err, s.line(err.Error(), maxWords)
	return e
}

// Unwrap gives the cause and, where it applies, ErrAmbiguous.
func (e *Error) Unwrap() []error {
	var all []error
	if e.Err != nil {
		all = append(all, e.Err)
	}
	if e.ambiguous {
		all = append(all, ErrAmbiguous)
	}
	return all
}

// IsNotFound reports whether Kazoo answered that the thing does not exist. A
// 404 that is not Kazoo's own envelope proves nothing and does not count, nor
// does that of a login, which speaks of the API key and not of the thing.
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
	// An unknown API key is answered 404 (cb_api_auth.erl).
	return e.Status == http.StatusUnauthorized || e.Op == opLogin && e.answered() && e.Status == http.StatusNotFound
}

// answered reports whether Kazoo itself said what Status says.
func (e *Error) answered() bool { return e.Err == nil && e.Code != CodeNotJSON }

// Error says what was being done where, how it failed in Kazoo's words, and
// what to do about it.
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
		add("Kazoo may have done it nevertheless")
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

// doing says in words what an operation does.
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
