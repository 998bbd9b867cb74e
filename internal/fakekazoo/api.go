package fakekazoo

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// call is one request to the API.
type call struct {
	k       *Kazoo
	r       *http.Request
	id      string
	op      string
	args    []string // the segments that matched the path's stars
	session *session
	account *account // of paths under /accounts/{A}
	data    *jobj    // of the request
}

// route is one operation of the API. A star in the path is any segment; the
// first under accounts/ is the account.
type route struct {
	method, path, op string
	cost             float64
	open             bool // no login needed
	do               func(*call) reply
}

// routes lists every operation. The first matching path counts.
func routes() []route {
	list := []route{
		{"PUT", "user_auth", "login", loginCost, true, (*call).userAuth},
		{"PUT", "api_auth", "api_auth", loginCost, true, (*call).apiAuth},
		{"GET", "webhooks", "webhooks.offered", 1, true, (*call).offeredHooks},
		{"GET", "webhooks/samples", "webhooks.samples", 1, true, (*call).samples},
		{"GET", "webhooks/samples/*", "webhooks.sample", 1, true, (*call).sample},

		{"GET", "accounts/*/webhooks", "webhooks.list", 1, false, (*call).listHooks},
		{"PUT", "accounts/*/webhooks", "webhooks.create", 1, false, (*call).createHook},
		{"PATCH", "accounts/*/webhooks", "webhooks.reenable", 1, false, (*call).reenableHooks},
		{"GET", "accounts/*/webhooks/attempts", "attempts.list", 1, false, (*call).listAttempts},
		{"GET", "accounts/*/webhooks/*/attempts", "attempts.list", 1, false, (*call).listAttempts},
		{"GET", "accounts/*/webhooks/*", "webhooks.get", 1, false, (*call).getHook},
		{"POST", "accounts/*/webhooks/*", "webhooks.replace", 1, false, (*call).replaceHook},
		{"PATCH", "accounts/*/webhooks/*", "webhooks.patch", 1, false, (*call).patchHook},
		{"DELETE", "accounts/*/webhooks/*", "webhooks.delete", 1, false, (*call).deleteHook},

		{"GET", "accounts/*", "accounts.get", 1, false, (*call).getAccount},
		{"PUT", "accounts/*", "accounts.create", 1, false, (*call).createAccount},
		{"DELETE", "accounts/*", "accounts.delete", 1, false, (*call).deleteAccount},
		{"GET", "accounts/*/descendants", "accounts.descendants", 1, false, (*call).listDescendants},
		{"GET", "accounts/*/tree", "accounts.tree", 1, false, (*call).listAncestors},
	}
	for _, kd := range kinds() {
		one, all := "accounts/*/"+kd.path+"/*", "accounts/*/"+kd.path
		list = append(list,
			route{"GET", all, kd.path + ".list", 1, false, func(c *call) reply { return c.listObjects(kd) }},
			route{"PUT", all, kd.path + ".create", 1, false, func(c *call) reply { return c.createObject(kd) }},
			route{"GET", one, kd.path + ".get", 1, false, func(c *call) reply { return c.getObject(kd) }},
			route{"POST", one, kd.path + ".replace", 1, false, func(c *call) reply { return c.replaceObject(kd) }},
			route{"PATCH", one, kd.path + ".patch", 1, false, func(c *call) reply { return c.patchObject(kd) }},
			route{"DELETE", one, kd.path + ".delete", 1, false, func(c *call) reply { return c.deleteObject(kd) }},
		)
	}
	return list
}

// match finds the operation of a request. If only the method is wrong, it returns
// the right methods.
func match(method, path string) (found route, args []string, allow string) {
	var allowed []string
	for _, rt := range routes() {
		got, ok := matchPath(rt.path, path)
		if !ok || (len(allowed) > 0 && len(got) != len(args)) {
			continue
		}
		args = got
		if rt.method == method {
			return rt, got, ""
		}
		allowed = append(allowed, rt.method)
	}
	return route{}, nil, strings.Join(allowed, ", ")
}

func matchPath(pattern, path string) ([]string, bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil, false
	}
	var args []string
	for i := range want {
		switch {
		case want[i] == "*" && have[i] != "":
			arg, err := url.PathUnescape(have[i]) // the id of a media prompt has a slash
			if err != nil {
				return nil, false
			}
			args = append(args, arg)
		case want[i] != have[i]:
			return nil, false
		}
	}
	return args, true
}

func (k *Kazoo) serveAPI(w http.ResponseWriter, r *http.Request) {
	c := &call{k: k, r: r, id: k.rand.hex(16)}
	path, isV2 := strings.CutPrefix(strings.TrimSuffix(r.URL.EscapedPath(), "/"), "/v2/")
	rt, args, allow := match(r.Method, path)
	switch {
	case !isV2 || (rt.do == nil && allow == ""):
		c.write(w, systemError(http.StatusNotFound, "not_found", "not found"))
		return
	case rt.do == nil:
		c.write(w, reply{status: http.StatusMethodNotAllowed, empty: true, allow: allow})
		return
	}
	c.op, c.args = rt.op, args
	if c.failBefore(w) {
		return
	}
	c.write(w, c.answer(rt))
}

// failBefore applies the faults that prevent the request.
func (c *call) failBefore(w http.ResponseWriter) bool {
	if f, ok := c.strikes(FaultSlow); ok {
		ctx, cancel := context.WithCancel(c.r.Context())
		defer cancel()
		defer context.AfterFunc(c.k.ctx, cancel)()
		if !pause(ctx, f.Delay) {
			panic(http.ErrAbortHandler)
		}
	}
	if _, ok := c.strikes(FaultDown); ok {
		panic(http.ErrAbortHandler)
	}
	if f, ok := c.strikes(FaultStatus); ok {
		c.write(w, faultReply(f.Status))
		return true
	}
	if _, ok := c.strikes(FaultGarbage); ok {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><body><h1>It works!</h1></body>")
		return true
	}
	if f, ok := c.strikes(FaultBomb); ok {
		c.bomb(w, f.Size)
		return true
	}
	return false
}

// strikes reports whether a fault of the kind strikes this request.
func (c *call) strikes(kind FaultKind) (Fault, bool) {
	account := ""
	if rest, ok := strings.CutPrefix(c.r.URL.Path, "/v2/accounts/"); ok {
		account, _, _ = strings.Cut(rest, "/")
	}
	return c.k.faults.takeIn(account, kind, c.op)
}

// answer runs Crossbar's stages: rate, authentication, authorization, the request's
// data, and then the operation itself.
func (c *call) answer(rt route) reply {
	cost := rt.cost
	if cost == loginCost {
		cost = c.k.opt.LoginCost
	}
	if !c.k.buckets.take(c.r, cost) {
		return faultReply(http.StatusTooManyRequests)
	}
	if bad, ok := c.authorize(rt); !ok {
		return bad
	}
	if c.r.Method == http.MethodPut || c.r.Method == http.MethodPost || c.r.Method == http.MethodPatch {
		if bad, ok := c.readData(); !ok {
			return bad
		}
	}
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	return rt.do(c)
}

func (c *call) authorize(rt route) (reply, bool) {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	c.session = c.k.sessionOf(c.r)
	switch {
	case rt.open:
		return reply{}, true
	case c.session == nil:
		return unauthorized(), false
	}
	if c.account = c.k.accounts[c.args[0]]; c.account == nil {
		return badIdentifier(c.args[0]), false
	}
	if !c.account.descendsFrom(c.session.account) {
		return forbidden(), false
	}
	c.args = c.args[1:]
	return reply{}, true
}

// maxRequest is the size of the largest request, in bytes.
const maxRequest = 8 << 20

func (c *call) readData() (reply, bool) {
	if mt, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || mt != "application/json" {
		return systemError(http.StatusUnsupportedMediaType, "unsupported_media_type", "content type must be application/json"), false
	}
	raw, err := io.ReadAll(http.MaxBytesReader(nil, c.r.Body, maxRequest))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return systemError(http.StatusRequestEntityTooLarge, "request_too_large", "the request is too large"), false
	}
	var body struct {
		Data *jobj `json:"data"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &body)
	}
	if err != nil {
		return systemError(http.StatusBadRequest, "parse_error", "failed to parse the request's JSON"), false
	}
	if body.Data == nil {
		return invalid(obj("data", obj("required", obj("message", "Field is required but missing")))), false
	}
	c.data = body.Data
	return reply{}, true
}

func (c *call) write(w http.ResponseWriter, r reply) {
	c.k.log.Debug().Str("op", c.op).Str("path", c.r.URL.Path).Int("status", r.status).Str("request_id", c.id).Msg("api")
	if _, lose := c.strikes(FaultLose); lose {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	h.Set("X-Request-ID", c.id)
	h.Set("Date", c.k.clock.now().UTC().Format(http.TimeFormat))
	if r.allow != "" {
		h.Set("Allow", r.allow)
	}
	if r.empty {
		w.WriteHeader(r.status)
		return
	}
	body := c.body(r)
	h.Set("Content-Type", "application/json")
	if r.etag != "" {
		h.Set("ETag", `"`+r.etag+`"`)
	}
	if len(body) > compressFrom && strings.Contains(c.r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = compress(body)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(r.status)
	if f, ok := c.strikes(FaultDrip); ok {
		c.drip(w, body, f.Delay)
		return
	}
	if _, cut := c.strikes(FaultTruncate); cut {
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}
