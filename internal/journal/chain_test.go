package journal

import (
	"errors"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
)

// A row that was tampered with changes the chain as soon as a command touches it.
func TestChainFindsTampering(t *testing.T) {
	t.Parallel()
	user := sample(1, event.Created)
	for name, test := range map[string]struct {
		tamper string
		touch  func(c *cluster) error
	}{
		"nothing": {"SELECT 1", func(c *cluster) error { return c.nodes[0].SetState(ctxOf(c.t), "k", "w") }},
		"an object": {"UPDATE objects SET name = 'x'", func(c *cluster) error {
			_, err := c.nodes[0].Append(ctxOf(c.t), sample(1, event.Edited))
			return err
		}},
		"an object that is lost": {"DELETE FROM objects", func(c *cluster) error {
			_, err := c.nodes[0].Append(ctxOf(c.t), sample(1, event.Deleted))
			return err
		}},
		"a state":  {"UPDATE state SET value = 'x'", func(c *cluster) error { return c.nodes[0].SetState(ctxOf(c.t), "k", "w") }},
		"a cursor": {"UPDATE consumers SET cursor = 0", func(c *cluster) error { return c.nodes[0].MoveCursor(ctxOf(c.t), "c", 1, 2) }},
		"unanswered requests": {"DELETE FROM unanswered", func(c *cluster) error {
			_, err := c.nodes[0].Append(ctxOf(c.t), sample(2, event.Edited))
			return err
		}},
		"an event that was removed": {"DELETE FROM events WHERE seq = 2", func(c *cluster) error {
			_, err := c.nodes[0].do(ctxOf(c.t), &removed{First: 1, Through: 2})
			return err
		}},
		"content": {"UPDATE events SET key = x'00' WHERE rule = 1", func(c *cluster) error {
			_, err := c.nodes[0].Append(ctxOf(c.t), content(3))
			return err
		}},
		"a destination": {"UPDATE destinations SET cursor = 1", func(c *cluster) error {
			return c.nodes[0].Judge(ctxOf(c.t), "d", 0, 1, []Judged{{Seq: 1}})
		}},
		"where an account is": {"UPDATE accounts SET ancestors = 'x'", func(c *cluster) error {
			return c.nodes[0].PlaceAccounts(ctxOf(c.t), []AccountPlace{{Account: "a", Ancestors: []string{"c"}}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 3, nil)
			ctx := t.Context()
			mustAppend(t, c.nodes[0].Journal, user)
			mustAppend(t, c.nodes[0].Journal, sample(2, event.Edited))
			mustAppend(t, c.nodes[0].Journal, content(3))
			must(t, c.nodes[0].SetState(ctx, "k", "v"))
			must(t, c.nodes[0].MoveCursor(ctx, "c", 0, 1))
			must(t, c.nodes[0].Configure(ctx, []NewDestination{{Name: "d"}}, nil, nil))
			must(t, c.nodes[0].PlaceAccounts(ctx, []AccountPlace{{Account: "a", Ancestors: []string{"b"}}}))
			c.settle()
			must(t, c.nodes[2].Close())
			db, err := database.Open(c.nodes[2].opt.Dir+"/"+FileName, "")
			must(t, err)
			must(t, errors.Join(db.Script(ctx, test.tamper), db.Close()))
			c.open(2)
			c.tick(0, 0)
			if err := test.touch(c); err != nil && !isSoft(err) {
				t.Fatal(err)
			}
			c.settle()
			_, right := c.nodes[0].Chain()
			_, also := c.nodes[1].Chain()
			number, wrong := c.nodes[2].Chain()
			if number != c.nodes[2].Applied() || right != also || (right == wrong) != (name == "nothing") {
				t.Errorf("chains at %d: %x, %x, %x", number, right[:4], also[:4], wrong[:4])
			}
		})
	}
}

// One hash of 1,000 is kept, and it is the same on each node.
func TestChainAt(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	for c.nodes[0].Applied() < 1001 {
		must(t, c.nodes[0].Tick(t.Context(), c.term, time.Second))
	}
	c.settle()
	first, ok, err := c.nodes[0].ChainAt(t.Context(), 1000)
	if err != nil || !ok || first == [32]byte{} {
		t.Fatalf("%x, %v, %v", first, ok, err)
	}
	if other, ok, err := c.nodes[2].ChainAt(t.Context(), 1000); err != nil || !ok || other != first {
		t.Errorf("%x, %v, %v", other, ok, err)
	}
	if _, ok, err := c.nodes[2].ChainAt(t.Context(), 999); err != nil || ok {
		t.Errorf("%v, %v", ok, err)
	}
}
