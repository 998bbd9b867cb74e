package fakekazoo

import (
	"net/http"
	"strconv"
	"time"
)

// reply is the answer of an API operation.
type reply struct {
	status  int
	message string // of an error: "not_found", "validation failed", ...
	data    any
	token   string // auth_token, if it is not the request's
	page    *page
	etag    string // revision of the document; "" if the answer is not a document
	empty   bool   // no body at all
	allow   string
}

// page says where a listing continues.
type page struct {
	size        int
	start, next string
}

func ok(data any) reply { return reply{status: http.StatusOK, data: data} }

func (r reply) withRevision(etag string) reply {
	r.etag = etag
	return r
}

func created(data any) reply { return reply{status: http.StatusCreated, data: data} }

// systemError returns an error as Kazoo answers it (kazoo
// applications/crossbar/src/cb_context.erl add_system_error): the code as a string, a
// snake-case message, and the plain words in the data.
func systemError(status int, message, words string) reply {
	return reply{status: status, message: message, data: obj("message", words)}
}

func badIdentifier(id string) reply {
	return reply{status: http.StatusNotFound, message: "bad_identifier", data: obj("message", "bad identifier", "cause", id)}
}

func unauthorized() reply {
	return systemError(http.StatusUnauthorized, "invalid_credentials", "invalid credentials")
}

func forbidden() reply { return systemError(http.StatusForbidden, "forbidden", "forbidden") }

func invalid(details *jobj) reply {
	return reply{status: http.StatusBadRequest, message: "validation failed", data: details}
}

// faultReply is an injected error.
func faultReply(status int) reply {
	switch status {
	case http.StatusUnauthorized:
		return unauthorized()
	case http.StatusTooManyRequests:
		return systemError(status, "too_many_requests", "too many requests")
	case http.StatusConflict:
		return systemError(status, "datastore_conflict", "conflicting documents")
	case http.StatusServiceUnavailable:
		return systemError(status, "datastore_unreachable", "datastore unreachable")
	case http.StatusInternalServerError:
		return systemError(status, "datastore_fault", "datastore fault")
	default:
		return systemError(status, "unspecified_fault", http.StatusText(status))
	}
}

// body returns Kazoo's envelope around a reply.
func (c *call) body(r reply) []byte {
	e := &jobj{}
	if r.page != nil {
		e.set("page_size", r.page.size)
		if r.page.start != "" {
			e.set("start_key", r.page.start)
		}
		if r.page.next != "" {
			e.set("next_start_key", r.page.next)
		}
	}
	if r.data == nil {
		r.data = &jobj{}
	}
	e.set("data", r.data)
	if r.status >= 400 {
		e.set("error", strconv.Itoa(r.status)).set("message", r.message).set("status", "error")
	} else {
		revision := "automatic"
		if r.etag != "" {
			revision = r.etag
		}
		e.set("status", "success").set("revision", revision)
	}
	e.set("request_id", c.id)
	token := r.token
	if token == "" && c.session != nil {
		token = c.session.token
	}
	if token == "" && r.status >= 400 && c.k.version == version43 {
		token = "undefined" // 4.3's errors before a login say so
	}
	if token != "" {
		e.set("auth_token", token)
	}
	if c.k.version == version5 {
		e.set("tokens", obj("consumed", 1, "remaining", c.k.buckets.left(c.r)))
	}
	e.set("timestamp", c.k.clock.now().UTC().Format(time.RFC3339))
	e.set("version", c.k.version.String())
	e.set("node", c.k.opt.ClusterID)
	if c.k.version == version5 {
		e.set("metadata", obj("request_ip", "127.0.0.1"))
	}
	return appendJSON(nil, e, jsonCompact)
}
