package handlers

import (
	"net/http"
	"time"
)

// Check is one condition for readiness: everything that happens in Kazoo is
// received and handled.
type Check struct {
	Name   string // "journal", "hooks", ...
	OK     bool
	Reason string    // short, for anyone: no addresses, no internals
	Detail string    // for the operator, on the admin listener only: what is wrong and what to do; empty: Reason
	Since  time.Time // when the failure began
}

// checkDetail chooses the fields of a Check that are shown.
type checkDetail func(Check) string

func publicDetail(c Check) string { return c.Reason }

func adminDetail(c Check) string {
	if c.Detail != "" {
		return c.Detail
	}
	return c.Reason
}

// healthz serves balancers and probes: 200 while the service takes requests, 503
// while it stops.
func healthz(d Common, instance string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if instance != "" {
			w.Header().Set("Kazoohook-Instance", instance)
		}
		if d.Draining() {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("stopping\n"))
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
}

// readyz answers 200 if every check passes and the service is not stopping.
// Otherwise the status is notReady: 503, but 200 for the page, because a browser
// logs each 503 in its console.
func readyz(d Common, detail checkDetail, notReady int) http.Handler {
	type check struct {
		Name   string    `json:"name"`
		OK     bool      `json:"ok"`
		Reason string    `json:"reason,omitempty"`
		Detail string    `json:"detail,omitempty"`
		Since  time.Time `json:"since,omitzero"`
	}
	type body struct {
		Ready  bool    `json:"ready"`
		Checks []check `json:"checks"`
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		checks := d.Ready(r.Context())
		if d.Draining() {
			checks = append([]Check{{Name: "running", Reason: "stopping"}}, checks...)
		}
		b := body{Ready: true, Checks: []check{}}
		for _, c := range checks {
			b.Ready = b.Ready && c.OK
			b.Checks = append(b.Checks, check{Name: c.Name, OK: c.OK, Reason: c.Reason, Detail: detail(c), Since: c.Since.UTC()})
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		status := http.StatusOK
		if !b.Ready {
			status = notReady
		}
		writeJSONStatus(w, status, b)
	})
}
