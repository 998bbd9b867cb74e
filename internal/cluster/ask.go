package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// answerPart is the size of the parts in which a long answer is sent.
	answerPart  = 1 << 20
	moreHeader  = "Kazoohook-More"
	errorHeader = "Kazoohook-Error"
	// Values of moreHeader: another part of the piece follows, or another piece. Older
	// nodes take both for the first.
	morePart, morePiece = "1", "2"
	// mostQuestions is how many questions are answered at the same time.
	mostQuestions = 64
)

// nodeSubject returns the subject on which a node is asked. The server's name is
// hashed, because it may hold characters that a subject must not.
func nodeSubject(server, what string) string {
	sum := sha256.Sum256([]byte(server))
	return "kazoohook.node." + base64.RawURLEncoding.EncodeToString(sum[:12]) + "." + what
}

// answer begins to answer the questions of other nodes.
func (n *Node) answer(ctx context.Context) error {
	places := make(chan struct{}, mostQuestions)
	subscribe := func(what string, f func(context.Context, *nats.Msg)) error {
		_, err := n.embedded.app.Subscribe(nodeSubject(n.id.server(), what), func(m *nats.Msg) {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			n.work.Go(func() {
				defer func() { <-places }()
				f(ctx, m)
			})
		})
		return err
	}
	return errors.Join(
		subscribe("removed", func(context.Context, *nats.Msg) { n.fail(ErrRemoved) }),
		subscribe("copy", n.copies.answer),
		subscribe("rebuild", n.answerRebuild),
		subscribe("resign", func(context.Context, *nats.Msg) { n.election.resigned() }),
		subscribe("ask.*", n.answerQuestion),
	)
}

var subjectForm = regexp.MustCompile(`^[a-z0-9-]+$`)

// Handler answers a question of another node. It may send pieces of the answer before
// the last one, which it returns. The asker gets each at once.
type Handler func(ctx context.Context, request []byte, piece func([]byte)) (last []byte)

// Handle sets the handler for other nodes' questions about a subject ([a-z0-9-]+). Call
// it at any time, also before Open. Handlers run concurrently; their context ends with
// the node.
func (n *Node) Handle(subject string, f Handler) error {
	if !subjectForm.MatchString(subject) {
		return fmt.Errorf("%q is not a subject", subject)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handlers[subject] = f
	return nil
}

func (n *Node) handler(subject string) Handler {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.handlers[subject]
}

func (n *Node) answerQuestion(ctx context.Context, m *nats.Msg) {
	f := n.handler(m.Subject[len(nodeSubject(n.id.server(), "ask.")):])
	if f == nil {
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{errorHeader: []string{"1"}}})
		return
	}
	send := func(piece []byte, follows string) {
		for len(piece) > answerPart {
			if n.sendPart(m.Reply, piece[:answerPart], morePart) != nil {
				return
			}
			piece = piece[answerPart:]
		}
		_ = n.sendPart(m.Reply, piece, follows) // without the connection, nobody waits for it
	}
	send(f(ctx, m.Data, func(piece []byte) { send(piece, morePiece) }), "")
}

func (n *Node) sendPart(to string, part []byte, follows string) error {
	m := &nats.Msg{Subject: to, Data: part}
	if follows != "" {
		m.Header = nats.Header{moreHeader: []string{follows}}
	}
	return n.embedded.app.PublishMsg(m)
}

// AskLeader asks the leader about a subject. It calls piece with each piece of the answer
// before the last, and returns the last one; piece may be nil if there is only one. It
// waits until ctx ends. On the leader itself it calls the handler directly. Errors:
// ErrNoLeader, also if the leader dies or changes meanwhile, and the context's.
func (n *Node) AskLeader(ctx context.Context, subject string, request []byte, piece func([]byte)) (last []byte, err error) {
	term, leader := n.election.current()
	if leader == n.o.Node {
		f := n.handler(subject)
		if f == nil {
			return nil, unanswered(subject)
		}
		return f(ctx, request, piece), nil
	}
	server, ok := n.serverOf(leader)
	if !ok {
		return nil, ErrNoLeader
	}
	return n.ask(ctx, server, subject, request, piece, func() bool {
		now, _ := n.election.current()
		again, ok := n.serverOf(leader)
		return ok && again == server && now == term
	})
}

// ask asks a server about a subject, as AskLeader does, until ctx ends or still returns
// false.
func (n *Node) ask(ctx context.Context, server, subject string, request []byte, piece func([]byte), still func() bool) (last []byte, err error) {
	inbox := n.embedded.app.NewRespInbox()
	answers, err := n.embedded.app.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLeader, err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := n.embedded.app.PublishRequest(nodeSubject(server, "ask."+subject), inbox, request); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLeader, err)
	}
	for {
		wait, cancel := context.WithTimeout(ctx, time.Second)
		m, err := answers.NextMsgWithContext(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			if !still() {
				return nil, ErrNoLeader
			}
			continue
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrNoLeader, err)
		}
		if m.Header.Get(errorHeader) != "" {
			return nil, unanswered(subject)
		}
		last = append(last, m.Data...)
		switch m.Header.Get(moreHeader) {
		case "":
			return last, nil
		case morePiece:
			if piece != nil {
				piece(last)
				last = nil
			}
		}
	}
}

// AskOthers asks all other nodes of the cluster about a subject at once. It returns
// their answers by node, and the nodes that didn't answer before ctx ended.
func (n *Node) AskOthers(ctx context.Context, subject string, request []byte) (answers map[string][]byte, silent []string) {
	nodes := map[string]string{} // servers by name; "": not connected
	if j := n.journal.Load(); j != nil {
		for node := range members(j.Cluster()) {
			nodes[node] = ""
		}
	}
	for server, v := range n.others() {
		nodes[v.Node] = server
	}
	delete(nodes, n.o.Node)
	answers = map[string][]byte{}
	var mu sync.Mutex
	var asked sync.WaitGroup
	for node, server := range nodes {
		asked.Go(func() {
			var answer []byte
			err := ErrNoLeader
			if server != "" {
				answer, err = n.ask(ctx, server, subject, request, nil, func() bool { return true })
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent = append(silent, node)
				return
			}
			answers[node] = answer
		})
	}
	asked.Wait()
	slices.Sort(silent)
	return answers, silent
}

// serverOf returns the server of a connected node.
func (n *Node) serverOf(node string) (string, bool) {
	for server, v := range n.peers.alive() {
		if node != "" && v.Node == node {
			return server, true
		}
	}
	return "", false
}

func unanswered(subject string) error {
	return fmt.Errorf("the node doesn't answer about %q: it runs another version", subject)
}
