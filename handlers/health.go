package handlers

import (
	"context"
	"net/http"
)

// Check is one condition of being ready to receive.
type Check struct {
	Name   string // "journal", "hooks", ...
	OK     bool
	Reason string // short, for anyone: no addresses, no internals
	Detail string // for the operator, on the admin listener only; empty: Reason
}

// checkDetail chooses what of a Check is shown.
type checkDetail func(Check) string

func publicDetail(c Check) string { return c.Reason }

func adminDetail(c Check) string {
	if c.Detail != "" {
		return c.Detail
	}
	return c.Reason
}

// healthz says that the process lives and answers; nothing else.
func healthz(instance string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if instance != "" {
			w.Header().Set("Kazoohook-Instance", instance)
		}
		_, _ = w.Write([]byte("ok\n"))
	})
}

// readyz answers 200 if every check passes and we are not stopping, else with
// the status notReady: 503 for those that only look at the status, 200 for the
// page, since a browser complains of each 503 in its console.
func readyz(d Deps, detail checkDetail, notReady int) http.Handler {
	type check struct {
		Name   string `json:"name"`
		OK     bool   `json:"ok"`
		Detail string `json:"detail,omitempty"`
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
			b.Checks = append(b.Checks, check{Name: c.Name, OK: c.OK, Detail: detail(c)})
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

// answerWith answers with what a dependency returns, as JSON.
func answerWith(d Deps, get func(context.Context) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if get == nil {
			notFoundProblem(w, r)
			return
		}
		v, err := get(r.Context())
		if err != nil {
			failed(w, r, d.Log, err)
			return
		}
		writeJSON(w, v)
	})
}
