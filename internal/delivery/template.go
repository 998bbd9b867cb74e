package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
)

// Limits of a template's output and work for one event.
const (
	maxTemplate = 64 << 10 // bytes of its text
	maxBody     = 1 << 20  // bytes of its output
	maxWrites   = 1 << 20  // pieces that it writes; each round of a loop writes at least one
	maxRender   = 30 * time.Second
)

// show is the name of the function through which every printed value goes. Templates
// don't write it themselves.
const show = "show__"

// rendering is a compiled template over the fields of an event's JSON. It is safe
// for concurrent use.
type rendering struct {
	template *template.Template
}

// newRendering compiles a template. A field that no event has is an error. A field that
// an event lacks is printed as nothing.
func newRendering(name, text string) (*rendering, error) {
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("its %d bytes are more than %d", len(text), maxTemplate)
	}
	t, err := template.New(name).Funcs(template.FuncMap{"json": toJSON, show: shown}).Parse(text)
	if err != nil {
		return nil, templateError(err)
	}
	for _, each := range t.Templates() {
		if each.Tree == nil {
			continue
		}
		// Other templates are called with their own dot.
		r := rewriting{top: each.Name() == name, tree: each.Tree}
		if r.list(each.Root); r.err != nil {
			return nil, r.err
		}
		each.Root.Nodes = slices.Insert(each.Root.Nodes, 0, r.nothing())
	}
	return &rendering{t}, nil
}

// rewriting changes a template's tree: printed values go through show, and each round
// of a loop writes something, so that it counts.
type rewriting struct {
	tree *parse.Tree
	top  bool // dot is the event
	err  error
}

// nothing is a text of no bytes; writing it counts as a piece.
func (r *rewriting) nothing() parse.Node {
	return &parse.TextNode{NodeType: parse.NodeText, Text: []byte{}}
}

func (r *rewriting) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			r.pipe(n.Pipe)
			if len(n.Pipe.Decl) == 0 {
				call := parse.NewIdentifier(show).SetPos(n.Pos).SetTree(r.tree)
				n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{call}})
			}
		case *parse.IfNode:
			r.branch(&n.BranchNode, r.top)
		case *parse.WithNode:
			r.branch(&n.BranchNode, false)
		case *parse.RangeNode:
			r.branch(&n.BranchNode, false)
			n.List.Nodes = slices.Insert(n.List.Nodes, 0, r.nothing())
		case *parse.TemplateNode:
			r.pipe(n.Pipe)
		}
	}
}

// branch visits a node with two lists. top reports whether dot is still the event in
// the first.
func (r *rewriting) branch(b *parse.BranchNode, top bool) {
	r.pipe(b.Pipe)
	outer := r.top
	r.top = top
	r.list(b.List)
	r.top = outer
	r.list(b.ElseList)
}

func (r *rewriting) pipe(p *parse.PipeNode) {
	if p == nil {
		return
	}
	for _, c := range p.Cmds {
		for _, arg := range c.Args {
			r.argument(arg)
		}
	}
}

func (r *rewriting) argument(n parse.Node) {
	name := ""
	switch n := n.(type) {
	case *parse.PipeNode:
		r.pipe(n)
	case *parse.ChainNode:
		r.argument(n.Node)
	case *parse.FieldNode:
		if r.top {
			name = n.Ident[0]
		}
	case *parse.VariableNode:
		if r.tree.Name == r.tree.ParseName && n.Ident[0] == "$" && len(n.Ident) > 1 {
			name = n.Ident[1]
		}
	}
	if name != "" && !slices.Contains(eventFields, name) && r.err == nil {
		where, _ := r.tree.ErrorContext(n)
		r.err = fmt.Errorf("%s: no event has the field %s; there are %s", where, name, strings.Join(eventFields, ", "))
	}
}

// shown returns a value as a template prints it: a missing one as nothing, a number as
// in JSON.
func shown(v any) any {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return v
}

// toJSON returns a value as JSON, on one line, with sorted keys.
func toJSON(v any) (string, error) {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// render makes the text for one event.
func (r *rendering) render(fields map[string]any) ([]byte, error) {
	return r.renderWithin(maxRender, fields)
}

func (r *rendering) renderWithin(limit time.Duration, fields map[string]any) ([]byte, error) {
	out := bounded{until: time.Now().Add(limit)}
	if err := r.template.Execute(&out, fields); err != nil {
		return nil, templateError(err)
	}
	return out.Bytes(), nil
}

// templateError puts the error of a template on one line. It is cut, because it may
// quote a value of the event.
func templateError(err error) error {
	return errors.New(cut(printed([]byte(strings.TrimPrefix(err.Error(), "template: "))), 300))
}

// bounded is a buffer that takes maxBody bytes in maxWrites pieces, until a time.
type bounded struct {
	bytes.Buffer
	writes int
	until  time.Time
}

func (b *bounded) Write(p []byte) (int, error) {
	b.writes++
	switch {
	case b.Len()+len(p) > maxBody:
		return 0, fmt.Errorf("the text is longer than %d bytes", maxBody)
	case b.writes > maxWrites, time.Now().After(b.until):
		return 0, errors.New("it takes too long: a loop has too many rounds, or does too much in each")
	}
	return b.Buffer.Write(p)
}
