package event

import (
	"fmt"
	"strconv"
	"strings"
)

// maxProblems bounds how many problems of one event are listed.
const maxProblems = 16

// problems collects descriptions of what did not fit. They quote no values, because
// a value may be a secret.
type problems struct {
	list []string
	more int
}

func (p *problems) add(format string, args ...any) {
	if len(p.list) >= maxProblems {
		p.more++
		return
	}
	text := fmt.Sprintf(format, args...)
	for _, earlier := range p.list {
		if earlier == text {
			return
		}
	}
	p.list = append(p.list, text)
}

func (p *problems) all() []string {
	if p.more > 0 {
		return append(p.list, strconv.Itoa(p.more)+" more problems")
	}
	return p.list
}

// brief returns a key as a problem quotes it.
func brief(key string) string {
	const limit = 64
	if len(key) > limit {
		key = strings.ToValidUTF8(key[:limit], "") + "..."
	}
	return strconv.Quote(key)
}

func joinProblems(list []string) string {
	return strings.Join(list, "; ")
}
