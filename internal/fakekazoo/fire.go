package fakekazoo

import (
	"net/http"
	"time"
)

// retryPause is how long Kazoo waits after a transport error
// (kazoo applications/webhooks/src/webhooks_util.erl retry_hook).
const retryPause = 2 * time.Second

func (k *Kazoo) firing(h hook, ev event) *Firing {
	node := k.opt.Nodes[0]
	if len(k.opt.Nodes) > 1 {
		node = pick(k.rand, k.opt.Nodes)
	}
	return &Firing{
		Node: node.Name, node: node,
		EventID: k.rand.hex(5), Event: ev.title(), Hook: ev.hook, HookID: h.id, HookAccountID: h.account.ID, URI: h.uri(),
		AccountID: ev.account.ID, ObjectType: ev.docType, ObjectID: ev.objectID, Action: ev.action,
		Started: k.clock.now(),
	}
}

func (k *Kazoo) finish(f *Firing, o Outcome) {
	f.Outcome, f.Ended = o, k.clock.now()
	k.truth.fired(*f)
	k.log.Debug().Str("event", f.Event).Str("hook_id", f.HookID).Str("event_id", f.EventID).
		Str("outcome", string(o)).Int("tries", f.Tries).Int("resends", f.Resends).Int("status", f.Status).
		Str("client_error", f.ClientError).Msg("fired")
	if k.opt.OnFiring != nil {
		k.opt.OnFiring(*f)
	}
}

// fire sends one event to one hook, with Kazoo's retries.
func (k *Kazoo) fire(h hook, ev event) {
	f := k.firing(h, ev)
	p, err := k.payload(h, k.envelope(h, ev))
	if err != nil {
		f.ClientError = err.Error()
		k.finish(f, OutcomeCrashed)
		return
	}
	f.Body = p.body
	if p.method == http.MethodGet {
		f.Body = []byte(p.query)
	}
	req := k.request(h, p)
	for left := h.tries(); ; left-- {
		f.Tries++
		res := k.client.send(k.ctx, req, k.faults, ev.hook)
		f.Status, f.ClientError = res.status, res.clientError
		f.Resends += res.resends
		switch {
		case k.ctx.Err() != nil:
			k.finish(f, OutcomeAborted)
			return
		case res.clientError == "" && k.succeeded(p.method, res.status):
			k.succeed(h, f, p, req, res, left)
			return
		}
		k.noteFailure(h)
		k.saveAttempt(h, f, p, req, res, left)
		switch {
		case res.clientError == "": // any answer is final
			k.finish(f, OutcomeRefused)
			return
		case left <= 1:
			k.finish(f, OutcomeExhausted)
			return
		case !k.clock.sleep(k.ctx, retryPause):
			k.finish(f, OutcomeAborted)
			return
		}
	}
}

// succeeded reports whether a status is a success: 200, and on HEAD 201 for a PUT.
func (k *Kazoo) succeeded(method string, status int) bool {
	return status == http.StatusOK ||
		(status == http.StatusCreated && method == http.MethodPut && k.version == version5)
}

func (k *Kazoo) succeed(h hook, f *Firing, p payload, req request, res response, left int) {
	if k.opt.StoreSuccess {
		k.saveAttempt(h, f, p, req, res, left)
	}
	if res.redirected && p.method != http.MethodGet {
		k.finish(f, OutcomeRedirected)
		return
	}
	k.finish(f, OutcomeDelivered)
}

// request makes the request. Its headers name the hook and its account; nothing in them
// distinguishes one event from another.
func (k *Kazoo) request(h hook, p payload) request {
	r := request{method: p.method, uri: h.uri(), query: p.query, body: p.body}
	if p.contentType != "" {
		r.header = append(r.header, [2]string{"Content-Type", p.contentType})
	}
	r.header = append(r.header, [2]string{"X-Hook-ID", h.id}, [2]string{"X-Account-ID", h.account.ID})
	if custom := h.doc.obj("custom_request_headers"); custom != nil && k.version == version5 {
		for _, f := range custom.fields {
			if s, ok := f.val.(string); ok {
				r.header = append(r.header, [2]string{f.key, s})
			}
		}
	}
	return r
}
