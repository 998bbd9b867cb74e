package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"kazoohook/internal/event"
)

// Limits of an expression: the nodes of its tree, and the values that an evaluation
// creates. See also maxSteps.
const (
	maxNodes     = 1_000
	memoryBudget = 1_000_000
	maxWhere     = 64 << 10 // bytes of its text
)

// ownPrefix begins the names of the receiver's own events.
const ownPrefix = "kazoohook."

// takes reports whether a pattern takes events of this name. The receiver's own events
// are taken only by patterns that begin with kazoohook, not by *.
func takes(pattern, name string) bool {
	return event.Wildcard(pattern, name) && (!strings.HasPrefix(name, ownPrefix) || strings.HasPrefix(pattern, "kazoohook"))
}

// selects reports whether the destination's patterns take events of this name. Without
// patterns it takes all but the receiver's own.
func (d *Destination) selects(name string) bool {
	for _, pattern := range d.Events {
		if takes(pattern, name) {
			return true
		}
	}
	return len(d.Events) == 0 && !strings.HasPrefix(name, ownPrefix)
}

// Matches reports whether the destination takes an event, without regard to its
// account. An expression that fails counts as a match; the error says why it failed.
func (d *Destination) Matches(e *event.Event) (bool, error) {
	if !d.selects(e.Event) || e.Signature == event.SignedWrong && !d.Unverified {
		return false, nil
	}
	if d.where == nil {
		return true, nil
	}
	fields, err := fieldsOf(e)
	if err != nil {
		return true, fmt.Errorf("where can't be evaluated, so the event matches: %w", err)
	}
	ok, err := d.where.match(fields)
	if err != nil {
		return true, fmt.Errorf("where fails, so the event matches: %w", err)
	}
	return ok, nil
}

// eventFields are the fields that an event's JSON can have.
var eventFields = []string{
	"event", "event_id", "seq", "journal", "source", "received_at", "account_id", "hook", "hook_id", "verified", "cluster_id",
	"action", "object_type", "object_id", "object_name", "data", "truncated", "decode_error",
}

// filter is a compiled expression over the fields of an event's JSON. It is safe
// for concurrent use.
type filter struct {
	program *vm.Program
}

// newFilter compiles an expression with a boolean result. An unknown field is an error.
// What an evaluation costs is metered: see meter.
func newFilter(text string) (*filter, error) {
	if len(text) > maxWhere {
		return nil, fmt.Errorf("its %d bytes are more than %d", len(text), maxWhere)
	}
	scope := types.Map{}
	for _, name := range eventFields {
		scope[name] = types.Any
	}
	options := []expr.Option{expr.Env(scope), expr.AsBool(), expr.MaxNodes(maxNodes)}
	if _, err := expr.Compile(text, options...); err != nil {
		return nil, errors.New(oneLine(err.Error()))
	}
	// Compile it again, metered.
	for name, call := range (&meter{}).functions() {
		scope[name] = types.TypeOf(call)
	}
	metering := &metering{}
	options = []expr.Option{expr.Env(scope), expr.AsAny(), expr.MaxNodes(maxNodes), expr.Patch(metering)}
	for _, name := range replaced {
		options = append(options, expr.DisableBuiltin(name))
	}
	program, err := expr.Compile(text, options...)
	if err = errors.Join(metering.err, err); err != nil {
		return nil, errors.New(oneLine(err.Error()))
	}
	return &filter{program}, nil
}

// errNotBoolean: the result of an expression is not a boolean.
var errNotBoolean = errors.New("the result is not true or false")

// match evaluates the expression. It always ends, at the latest after maxSteps.
func (f *filter) match(fields map[string]any) (bool, error) {
	scope := make(map[string]any, len(fields)+len(replaced)+1)
	for name, value := range fields {
		if slices.Contains(eventFields, name) {
			scope[name] = value
		}
	}
	if scope["data"] == nil {
		scope["data"] = map[string]any{} // so that data.x is nil and not an error
	}
	m := &meter{}
	for name, call := range m.functions() {
		scope[name] = call
	}
	machine := vm.VM{MemoryBudget: memoryBudget}
	result, err := machine.Run(f.program, scope)
	switch {
	case m.steps > maxSteps: // whatever error the machine made of it
		return false, errSteps
	case err != nil:
		return false, errors.New(oneLine(err.Error()))
	}
	ok, is := result.(bool)
	switch {
	case result == nil:
		return false, fmt.Errorf("%w: it is nil, as of a field that the event lacks", errNoResult)
	case !is:
		return false, fmt.Errorf("%w: it is %T", errNotBoolean, result)
	}
	return ok, nil
}

var errNoResult = errors.New("there is no result")

// oneLine returns the first line of an error, without the drawing below it. It is cut,
// because it may quote a value of the event.
func oneLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return cut(printed([]byte(first)), 300)
}
