package delivery

import (
	"errors"
	"fmt"
	"regexp/syntax"

	"github.com/expr-lang/expr/ast"
)

// maxProgram is how many instructions a regular expression may have.
const maxProgram = 10_000

// costs says what builtin functions cost for each argument, and a factor. Functions
// that aren't listed cost costDeep, factor 1.
var costs = map[string]struct {
	cost   cost
	factor int
}{
	"type": {costOne, 1}, "abs": {costOne, 1}, "ceil": {costOne, 1}, "floor": {costOne, 1}, "round": {costOne, 1}, "now": {costOne, 10},
	"first": {costOne, 5}, "last": {costOne, 5}, "get": {costText, 2}, "take": {costOne, 10},
	"bitand": {costOne, 1}, "bitor": {costOne, 1}, "bitxor": {costOne, 1}, "bitnand": {costOne, 1}, "bitshl": {costOne, 1},
	"bitshr": {costOne, 1}, "bitushr": {costOne, 1}, "bitnot": {costOne, 1},
	"len": {costText, 1}, "int": {costText, 2}, "float": {costText, 2}, "indexOf": {costText, 1}, "lastIndexOf": {costText, 1},
	"hasPrefix": {costText, 1}, "hasSuffix": {costText, 1}, "trim": {costText, 2}, "toBase64": {costText, 2}, "fromBase64": {costText, 2},
	"keys": {costSize, 10}, "values": {costSize, 10}, "toPairs": {costSize, 20}, "fromPairs": {costDeep, 10}, "reverse": {costSize, 5},
	"concat": {costSize, 5}, "split": {costSize, 12}, "splitAfter": {costSize, 12}, "upper": {costSize, 2}, "lower": {costSize, 2},
	"date": {costOne, 10_000}, "timezone": {costOne, 10_000}, // these may read a file
	"uniq": {costPairs, 8}, "sort": {costSorted, 5}, "sortBy": {costSorted, 5}, "groupBy": {costSize, 100},
	"all": {costSize, 1}, "none": {costSize, 1}, "any": {costSize, 1}, "one": {costSize, 1}, "filter": {costSize, 1}, "map": {costSize, 1},
	"find": {costSize, 1}, "findIndex": {costSize, 1}, "findLast": {costSize, 1}, "findLastIndex": {costSize, 1}, "count": {costSize, 1},
	"sum": {costSize, 10}, "reduce": {costSize, 1},
	"toJSON": {costDeep, 20}, "fromJSON": {costDeep, 40}, "string": {costDeep, 20}, "flatten": {costDeep, 5},
	"max": {costDeep, 5}, "min": {costDeep, 5}, "mean": {costDeep, 5}, "median": {costSorted, 5},
}

// pay is the name of the metering function. No expression can contain it.
const pay = "\x00pay"

// replaced are the builtin functions whose result can be much larger than their
// arguments. Our versions do the same, but pay first.
var replaced = []string{"repeat", "replace", "join"}

// metering changes an expression so that it pays for what it does. Each round of a loop
// pays for the nodes of its body. Each operation whose time depends on the size of its
// operands pays for those sizes.
type metering struct {
	err error
}

// Visit is called for each node, after its children.
func (m *metering) Visit(node *ast.Node) { //nolint:gocritic // the interface has it so
	switch n := (*node).(type) {
	case *ast.PredicateNode:
		n.Node = paying(costOne, 40+8*nodesOf(n.Node), n.Node)
	case *ast.BuiltinNode:
		c, ok := costs[n.Name]
		if !ok {
			c.cost, c.factor = costDeep, 1
		}
		for i, arg := range n.Arguments {
			body, ok := arg.(*ast.PredicateNode)
			switch {
			case !ok:
				n.Arguments[i] = paying(c.cost, c.factor, arg)
			case n.Name == "groupBy", n.Name == "sortBy": // the key, which is hashed or compared
				body.Node = paying(costDeep, 10, body.Node)
			}
		}
	case *ast.PairNode:
		n.Key = paying(costText, 1, n.Key)
	case *ast.MemberNode:
		n.Property = paying(costText, 1, n.Property)
	case *ast.BinaryNode:
		m.binary(n)
	}
}

func (m *metering) binary(n *ast.BinaryNode) {
	switch n.Operator {
	case "and", "&&", "or", "||", "??":
	case "matches":
		pattern, ok := n.Right.(*ast.StringNode)
		if !ok {
			m.err = errors.New("the right side of matches must be a text in quotes")
			return
		}
		size, err := programSize(pattern.Value)
		if err != nil {
			m.err = err
			return
		}
		n.Left = paying(costText, size*24/5, n.Left) // 6 ns for each byte and instruction
	case "==", "!=", "<", ">", "<=", ">=":
		if !constant(n.Left) && !constant(n.Right) { // comparing with a constant is cheap
			n.Left, n.Right = paying(costDeep, 4, n.Left), paying(costDeep, 4, n.Right)
		}
	case "in":
		if !constant(n.Right) {
			n.Left, n.Right = paying(costDeep, 1, n.Left), paying(costDeep, 4, n.Right)
		}
	default:
		n.Left, n.Right = paying(costText, 1, n.Left), paying(costText, 1, n.Right)
	}
}

// programSize returns the number of instructions of a regular expression.
func programSize(pattern string) (int, error) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return 0, err
	}
	if n := len(program.Inst); n > maxProgram {
		return 0, fmt.Errorf("a regular expression of %d instructions is larger than %d", n, maxProgram)
	}
	return len(program.Inst), nil
}

// shortText is the length in bytes up to which a literal costs nothing.
const shortText = 64

// constant reports whether a node is a short literal, or a list of them.
func constant(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.NilNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.ConstantNode:
		return true
	case *ast.StringNode:
		return len(n.Value) <= shortText
	case *ast.ArrayNode:
		for _, item := range n.Nodes {
			if !constant(item) {
				return false
			}
		}
		return true
	}
	return false
}

// paying wraps a node, so that its value is paid for.
func paying(c cost, factor int, n ast.Node) ast.Node {
	if _, list := n.(*ast.ArrayNode); c != costOne && constant(n) && !list {
		return n
	}
	call := &ast.CallNode{
		Callee:    &ast.IdentifierNode{Value: pay},
		Arguments: []ast.Node{&ast.IntegerNode{Value: int(c)}, &ast.IntegerNode{Value: factor}, n},
	}
	call.SetNature(*n.Nature())
	call.SetLocation(n.Location())
	return call
}

// counting counts nodes.
type counting int

// Visit counts a node.
func (c *counting) Visit(*ast.Node) { *c++ } //nolint:gocritic // the interface has it so

func nodesOf(n ast.Node) int {
	var c counting
	ast.Walk(&n, &c)
	return int(c)
}
