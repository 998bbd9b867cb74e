package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAskOthers: all other nodes are asked at once. Long answers arrive whole, and
// nodes that don't answer in time are named. The pieces of an answer arrive one by one.
func TestAskOthers(t *testing.T) {
	t.Parallel()
	all := testOptions(t)
	var nodes []*Node
	for _, o := range all[:2] {
		n, err := Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Close() })
		nodes = append(nodes, n)
	}
	eventually(t, "connection", func() error {
		for _, n := range nodes {
			if n.connected() != 2 {
				return errors.New("the nodes don't see each other yet")
			}
		}
		return nil
	})
	long := bytes.Repeat([]byte("x"), answerPart+1)
	goOn := make(chan struct{})
	for subject, f := range map[string]Handler{
		"echo":  func(_ context.Context, q []byte, _ func([]byte)) []byte { return q },
		"long":  func(context.Context, []byte, func([]byte)) []byte { return long },
		"never": func(ctx context.Context, _ []byte, _ func([]byte)) []byte { <-ctx.Done(); return nil },
		"pieces": func(_ context.Context, _ []byte, piece func([]byte)) []byte {
			piece([]byte("first"))
			<-goOn
			piece(long)
			return []byte("last")
		},
	} {
		if err := nodes[1].Handle(subject, f); err != nil {
			t.Fatal(err)
		}
	}
	for subject, want := range map[string]string{"echo": "seven", "long": string(long)} {
		var answers map[string][]byte
		eventually(t, "answer", func() error { // the first question may be sent before the servers know who answers it
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var silent []string
			if answers, silent = nodes[0].AskOthers(ctx, subject, []byte("seven")); len(answers) == 0 { // or n2 wasn't seen for seconds
				return errors.New("no answer, and none of " + strings.Join(silent, ", "))
			}
			return nil
		})
		if len(answers) != 1 || string(answers["n2"]) != want {
			t.Errorf("%s: %d answers, that of n2 has %d bytes", subject, len(answers), len(answers["n2"]))
		}
	}
	for _, subject := range []string{"never", "nobody-knows"} {
		eventually(t, "silence about "+subject, func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			answers, silent := nodes[0].AskOthers(ctx, subject, nil)
			if len(answers) != 0 {
				t.Errorf("%s: %d answers", subject, len(answers))
			}
			if !slices.Equal(silent, []string{"n2"}) { // n2 may not have been seen for seconds
				return fmt.Errorf("silent: %v", silent)
			}
			return nil
		})
	}
	var pieces []string
	last, err := nodes[0].ask(t.Context(), nodes[1].id.server(), "pieces", nil, func(piece []byte) {
		if pieces = append(pieces, string(piece)); len(pieces) == 1 {
			close(goOn)
		}
	}, func() bool { return true })
	if err != nil || !slices.Equal(pieces, []string{"first", string(long)}) || string(last) != "last" {
		t.Errorf("%d pieces, then %q, %v", len(pieces), last, err)
	}
}
