package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"kazoohook/handlers"
	"kazoohook/internal/cluster"
)

// The subjects of questions to the leader.
const (
	askAdmin  = "admin"  // asks a handlers.LeaderRequest; the answer is handlers.LeaderAnswers, one a piece
	askChecks = "checks" // asks nothing; the answer is the checks of /readyz that only the leader can make
	askNews   = "news"   // carries a news; the answer is empty
)

// askRequests is the subject of questions to all other nodes. It carries the seq of an
// event, for the requests that they keep of it, or 0, for events with kept duplicates.
const askRequests = "requests"

// news is something that another node has learned and the leader should know.
type news struct {
	Switched bool   `json:",omitempty"` // Kazoo said that it switched a hook off
	Refused  string `json:",omitempty"` // hook whose request was answered with a failure
	Previous bool   `json:",omitempty"` // a request came with the previous secret
}

// answerNodes answers what other nodes ask this one.
func (s *service) answerNodes(n *cluster.Node) error {
	encode := func(v any) []byte {
		text, _ := json.Marshal(v) // our own types
		return text
	}
	return errors.Join(
		n.Handle(askAdmin, func(ctx context.Context, q []byte, piece func([]byte)) []byte {
			var r handlers.LeaderRequest
			f := s.asLeader.Load()
			if json.Unmarshal(q, &r) != nil || f == nil || s.leading() == nil {
				return encode(handlers.LeaderAnswer{Status: http.StatusMisdirectedRequest})
			}
			masked := func(a handlers.LeaderAnswer) []byte {
				a.Body = s.logs.secrets.Long(a.Body)
				return encode(a)
			}
			return masked((*f)(ctx, r, func(a handlers.LeaderAnswer) { piece(masked(a)) }))
		}),
		n.Handle(askChecks, func(context.Context, []byte, func([]byte)) []byte {
			if s.leading() == nil {
				return encode(nil)
			}
			return encode(s.ready.ofLeader())
		}),
		n.Handle(askNews, func(_ context.Context, q []byte, _ func([]byte)) []byte {
			var found news
			if t := s.leading(); t != nil && json.Unmarshal(q, &found) == nil {
				t.take(found)
			}
			return encode(nil)
		}),
	)
}

// answerRequests answers the questions of other nodes about kept requests.
func (s *service) answerRequests(n *cluster.Node) error {
	return n.Handle(askRequests, func(_ context.Context, q []byte, _ func([]byte)) []byte {
		var seq int64
		if json.Unmarshal(q, &seq) != nil {
			return nil
		}
		var a any = s.requests.Of(seq)
		if seq == 0 {
			a = s.requests.Duplicated()
		}
		text, _ := json.Marshal(a) // our own types
		return text
	})
}

// askLook bounds how long other nodes may take to say what they keep.
const askLook = time.Second

// askOthers asks the other nodes about kept requests. silent are those without an answer.
func askOthers[T any](ctx context.Context, n *cluster.Node, seq int64) (all []T, silent []string) {
	ctx, cancel := context.WithTimeout(ctx, askLook)
	defer cancel()
	answers, silent := n.AskOthers(ctx, askRequests, []byte(strconv.FormatInt(seq, 10)))
	for node, text := range answers {
		var list []T
		if json.Unmarshal(text, &list) != nil {
			silent = append(silent, node)
		}
		all = append(all, list...)
	}
	return all, silent
}

// take handles news from another node.
func (t *turn) take(n news) {
	if n.Switched {
		t.engine.ReconcileNow()
	}
	if n.Refused != "" {
		t.engine.NoteRefusal(n.Refused)
	}
	if n.Previous {
		t.s.rotation.used()
	}
}

// report sends news to the leader without waiting. News may get lost: the leader also
// checks the hooks and reads Kazoo's record itself.
func (s *service) report(n news) {
	node := s.node.Load()
	if node == nil {
		return
	}
	select {
	case s.reporting <- struct{}{}:
	default:
		return // the leader doesn't answer
	}
	go func() {
		defer func() { <-s.reporting }()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		q, _ := json.Marshal(n) // our own type
		_, _ = node.AskLeader(ctx, askNews, q, nil)
	}()
}

// mostNews is how many news may be on their way to the leader.
const mostNews = 16

// askLimit bounds the leader's time to answer; a resync takes longest.
const askLimit = 30 * time.Minute

// askLeader makes the leader answer a request, as Ask of handlers.Cluster.
func (s *service) askLeader(ctx context.Context, r handlers.LeaderRequest, piece func(handlers.LeaderAnswer)) (a handlers.LeaderAnswer, err error) {
	node := s.node.Load()
	if node == nil {
		return a, handlers.ErrNoLeader
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	q, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	raw, err := node.AskLeader(ctx, askAdmin, q, func(raw []byte) {
		var a handlers.LeaderAnswer
		if json.Unmarshal(raw, &a) == nil { // the leader's own type
			piece(a)
		}
	})
	if errors.Is(err, cluster.ErrNoLeader) {
		return a, handlers.ErrNoLeader
	}
	if err == nil {
		err = json.Unmarshal(raw, &a)
	}
	switch {
	case err != nil:
		return a, fmt.Errorf("ask the leader: %w", err)
	case a.Status == http.StatusMisdirectedRequest:
		return a, handlers.ErrNoLeader
	}
	return a, nil
}

// leaderChecks asks the leader for its checks; ok is false if it doesn't answer.
func (s *service) leaderChecks(ctx context.Context) (checks []handlers.Check, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, readinessLook)
	defer cancel()
	raw, err := s.node.Load().AskLeader(ctx, askChecks, nil, nil)
	if err != nil || json.Unmarshal(raw, &checks) != nil || checks == nil {
		return nil, false
	}
	return checks, true
}
