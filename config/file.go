package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile bounds the configuration file.
const maxFile = 1 << 20

// readFile reads the YAML file at path and reports whether it could be read. Errors
// become problems.
func (l *loader) readFile(path string) (vals values, readable bool) {
	content, problem := readBounded(path, maxFile)
	if problem != "" {
		l.problems.add("", path, problem)
		return nil, false
	}
	vals, section, problems := parseFile(content)
	l.section = section
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() { // a pipe can't be read again
		l.config.secretFiles = append(l.config.secretFiles, path)
	}
	for _, p := range problems {
		l.problems.add("", filepath.Base(path), p)
	}
	return vals, vals != nil
}

// parseFile returns the file's values as texts by variable name (nil if the file
// isn't YAML), and the section of destinations unparsed. It walks the syntax tree
// instead of decoding into Config. So it can name the line of an unknown key and
// keep scalars as they are spelled: a secret of digits must not become a number.
func parseFile(content []byte) (values, ast.Node, []string) {
	file, err := parser.ParseBytes(bytes.TrimPrefix(content, []byte(byteOrderMark)), 0)
	if err != nil {
		return nil, nil, []string{"is not YAML: " + syntaxError(err)}
	}
	f := fileReader{values: values{}, keys: fileKeys()}
	for i, doc := range file.Docs {
		if i > 0 && doc.Body != nil {
			f.problem(doc.Body, "holds a second document; use one")
			break
		}
		f.document(doc.Body)
	}
	return f.values, f.section, f.problems
}

// fileKeys maps the accepted keys to variable names.
func fileKeys() map[string]string {
	keys := map[string]string{destinationsKey: ""}
	for _, v := range Variables() {
		keys[v.Key()] = v.Name
		if v.Secret {
			keys[strings.ToLower(v.FileName())] = v.FileName()
		}
	}
	return keys
}

type fileReader struct {
	values   values
	keys     map[string]string
	problems []string
	section  ast.Node // destinations
}

func (f *fileReader) problem(at ast.Node, format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf("line %d: ", line(at))+fmt.Sprintf(format, args...))
}

func line(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

func (f *fileReader) document(body ast.Node) {
	switch n := body.(type) {
	case nil, *ast.CommentGroupNode, *ast.NullNode:
	case *ast.MappingNode:
		for _, pair := range n.Values {
			f.pair(pair)
		}
	case *ast.MappingValueNode:
		f.pair(n)
	default:
		f.problem(body, "holds no settings; use lines like \"kazoo_api_url: https://example.com:8443\"")
	}
}

func (f *fileReader) pair(p *ast.MappingValueNode) {
	key := ""
	if t := p.Key.GetToken(); t != nil {
		key = t.Value
	}
	variable, ok := f.keys[key]
	if !ok {
		f.problem(p.Key, "%q is not a setting; %s", key, suggestKey(key, f.keys))
		return
	}
	if key == destinationsKey {
		f.section = p.Value
		return
	}
	if _, twice := f.values[variable]; twice {
		f.problem(p.Key, "%s is given twice", key)
		return
	}
	text, ok := scalarOrList(p.Value)
	if !ok {
		f.problem(p.Key, "%s takes a single value or a list of them", key)
		return
	}
	if text != "" {
		f.values[variable] = text
	}
}

// suggestKey names the nearest accepted key, or all of them.
func suggestKey(key string, keys map[string]string) string {
	accepted := make([]string, 0, len(keys))
	for k := range keys {
		accepted = append(accepted, k)
	}
	slices.Sort(accepted)
	list := "accepted are " + strings.Join(accepted, ", ")
	if near := nearest(strings.ToLower(key), accepted); near != "" {
		return fmt.Sprintf("did you mean %s? (%s)", near, list)
	}
	return list
}

// scalarOrList returns the text of a scalar, or the texts of a list joined by
// commas.
func scalarOrList(n ast.Node) (string, bool) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		return scalar(n)
	}
	parts := make([]string, 0, len(seq.Values))
	for _, item := range seq.Values {
		text, ok := scalar(item)
		if !ok {
			return "", false
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ","), true
}

func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return "", true
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(n.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// syntaxError gives position and message without the excerpt of the file that
// the library would add: it may hold a secret.
func syntaxError(err error) string {
	var located yaml.Error
	if errors.As(err, &located) {
		if t := located.GetToken(); t != nil && t.Position != nil {
			return fmt.Sprintf("line %d: %s", t.Position.Line, located.GetMessage())
		}
	}
	return "it can't be parsed"
}
