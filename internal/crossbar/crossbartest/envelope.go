package crossbartest

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
	empty   bool // no body at all
	allow   string
}

// page tells where a listing goes on.
type page struct {
	size        int
	start, next string
}

func ok(data any) reply { return reply{status: http.StatusOK, data: data} }

func created(data any) reply { return reply{status: http.StatusCreated, data: data} }

// failure answers of Kazoo (kazoo applications/crossbar/src/cb_context.erl
// add_system_error): the code as a string, a snake-case message, the plain
// words in the data.
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

// body is Kazoo's envelope around a reply.
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
		e.set("status", "success").set("revision", "automatic")
	}
	e.set("request_id", c.id)
	token := r.token
	if token == "" && c.session != nil {
		token = c.session.token
	}
	if token != "" {
		e.set("auth_token", token)
	}
	e.set("timestamp", c.k.clock.now().UTC().Format(time.RFC3339))
	e.set("version", c.k.version.String())
	e.set("node", c.k.opt.ClusterID)
	if c.k.version == version5 {
		e.set("metadata", obj("request_ip", "127.0.0.1"))
	}
	return appendJSON(nil, e, jsonCompact)
}
