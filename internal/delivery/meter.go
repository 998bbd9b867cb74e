package delivery

import (
	"errors"
	"fmt"
	"math/bits"
	"reflect"
	"strings"

	"github.com/expr-lang/expr/vm/runtime"
)

// maxSteps is how much one evaluation may cost, in steps of about 10 ns. The machine
// limits the memory of an expression, but not its time: a loop in a loop over the
// event's data would run for hours.
const maxSteps = 3_000_000

var errSteps = errors.New("it takes too long for this event: more than its budget of steps")

// cost is how the cost of an operation depends on its value.
type cost int

// The costs, before the factor. Costs of sizes are paid before the operation.
const (
	costOne    cost = iota // one step for any value
	costText               // an eighth of a text's bytes; other values cost nothing
	costSize               // an eighth of a text's bytes, the members of a list or map
	costDeep               // costSize of the value and of everything in it
	costSorted             // costDeep, times the logarithm of the number of members
	costPairs              // costDeep, times the number of members
)

// meter counts the steps of one evaluation.
type meter struct {
	steps int
}

// functions returns the functions that expressions call.
func (m *meter) functions() map[string]func(...any) any {
	return map[string]func(...any) any{pay: m.pay, "repeat": m.repeat, "replace": m.replace, "join": m.join}
}

// spend panics if the budget is used up; the machine returns that as an error.
func (m *meter) spend(steps int) {
	if steps < 0 || steps > maxSteps {
		steps = maxSteps + 1
	}
	m.steps += steps
	if m.steps > maxSteps {
		panic(errSteps)
	}
}

// pay takes a cost, a factor and a value, and returns the value.
func (m *meter) pay(args ...any) any {
	c, factor, v := cost(args[0].(int)), args[1].(int), args[2]
	m.spend(2)
	switch c {
	case costOne:
		m.spend(factor)
	case costText:
		if text, ok := v.(string); ok {
			m.spend((len(text)/8 + 1) * factor)
		}
	case costSize:
		m.spend(sizeOf(v) * factor)
	case costDeep:
		m.deep(v, factor, 0)
	case costSorted:
		n := sizeOf(v)
		m.deep(v, factor*bits.Len(uint(n)), 0)
	case costPairs:
		m.deep(v, factor*min(sizeOf(v), maxSteps), 0)
	}
	return v
}

// sizeOf is the number of members of a list or map, or an eighth of a text's bytes.
func sizeOf(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)/8 + 1
	case []any:
		return len(v)
	case map[string]any:
		return len(v)
	case nil, bool, int, float64:
		return 1
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Slice, reflect.Map, reflect.Array:
		return r.Len()
	case reflect.String:
		return r.Len()/8 + 1
	}
	return 1
}

// deep pays for a value and everything in it. Deeper values cost more, because writing
// them indents them.
func (m *meter) deep(v any, factor, depth int) {
	m.spend((sizeOf(v) + depth/8 + 1) * factor)
	switch v := v.(type) {
	case string, nil, bool, int, float64:
	case []any:
		for _, item := range v {
			m.deep(item, factor, depth+1)
		}
	case map[string]any:
		for key, item := range v {
			m.spend((len(key)/8 + 1) * factor)
			m.deep(item, factor, depth+1)
		}
	default:
		switch r := reflect.ValueOf(v); r.Kind() {
		case reflect.Slice, reflect.Array:
			for i := range r.Len() {
				m.deep(r.Index(i).Interface(), factor, depth+1)
			}
		case reflect.Map:
			for it := r.MapRange(); it.Next(); {
				m.deep(it.Key().Interface(), factor, depth+1)
				m.deep(it.Value().Interface(), factor, depth+1)
			}
		}
	}
}

// texts returns arguments that must be texts; it panics if one isn't.
func texts(name string, args ...any) []string {
	list := make([]string, len(args))
	for i, arg := range args {
		s, ok := arg.(string)
		if !ok {
			panic(fmt.Errorf("%s wants a text, not %T", name, arg))
		}
		list[i] = s
	}
	return list
}

func arguments(name string, args []any, least, most int) {
	if len(args) < least || len(args) > most {
		panic(fmt.Errorf("%s wants %d to %d arguments, not %d", name, least, most, len(args)))
	}
}

// repeat(text, n) returns the text n times.
func (m *meter) repeat(args ...any) any {
	arguments("repeat", args, 2, 2)
	s, n := texts("repeat", args[0])[0], runtime.ToInt(args[1])
	if n < 0 {
		panic(fmt.Errorf("repeat wants a positive number, not %d", n))
	}
	m.spend(times(n, len(s)/8+1))
	return strings.Repeat(s, n)
}

// replace(text, old, new) replaces all, replace(text, old, new, n) the first n.
func (m *meter) replace(args ...any) any {
	arguments("replace", args, 3, 4)
	s := texts("replace", args[:3]...)
	n := -1
	if len(args) == 4 {
		n = runtime.ToInt(args[3])
	}
	m.spend(len(s[0])/4 + 1)
	found := strings.Count(s[0], s[1])
	if n >= 0 {
		found = min(found, n)
	}
	m.spend(times(found, len(s[2])/8+4))
	return strings.Replace(s[0], s[1], s[2], n)
}

// join(list) or join(list, glue) joins a list of texts.
func (m *meter) join(args ...any) any {
	arguments("join", args, 1, 2)
	glue := ""
	if len(args) == 2 {
		glue = texts("join", args[1])[0]
	}
	var list []string
	switch v := args[0].(type) {
	case []string:
		list = v
	case []any:
		m.spend(len(v))
		list = texts("join", v...)
	default:
		panic(fmt.Errorf("join wants a list, not %T", v))
	}
	m.deep(list, 2, 0)
	m.spend(times(len(list), len(glue)/8+1))
	return strings.Join(list, glue)
}

// times returns a product, or more than any budget.
func times(a, b int) int {
	if a > maxSteps || b > maxSteps {
		return maxSteps + 1
	}
	return a * b
}
