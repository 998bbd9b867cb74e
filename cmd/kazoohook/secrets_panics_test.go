package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/handlers"
	"kazoohook/internal/event"
)

// panicking is a journal that panics with secrets and with what it was given.
type panicking struct{ handlers.History }

func (panicking) Append(_ context.Context, r event.Record) (event.Appended, error) {
	switch r.Hook {
	case "error":
		panic(fmt.Errorf("%s in %s", secretPanic, r.Body))
	case "runtime":
		_ = r.Body[len(r.Body)+len(secretPanic)]
	case "map":
		panic(map[string]any{secretPanic: r})
	}
	panic(secretPanic + string(r.Body))
}
func (panicking) Acknowledged(event.Record, event.Appended, bool) {}
func (panicking) Refused(event.Record, event.Appended)            {}
func (panicking) Last(context.Context) (int64, error)             { panic(secretPanic) }
func (panicking) Query(context.Context, event.Query) ([]event.Record, int64, error) {
	return nil, 0, errors.New(secretPanic) // an internal error must not be shown
}

// panics makes the handlers panic with secrets.
func (s *secrecy) panics() {
	log := &logLines{}
	common := handlers.Common{Log: zerolog.New(log)}
	public := handlers.Public(handlers.PublicDeps{Common: common, Journal: panicking{}, Secret: secretHook, PreviousSecret: secretPrevious})
	admin := handlers.Admin(handlers.AdminDeps{
		Common: common, History: panicking{}, Token: secretAdmin, Hooks: func() handlers.Overview { panic(errors.New(secretPanic)) },
	})
	servers := [2]string{serve(s.t, public), serve(s.t, admin)}
	for _, hook := range []string{"text", "error", "runtime", "map"} {
		for _, in := range []string{secretHook, secretPrevious} {
			got := s.ask("POST", servers[0]+"/kazoo/"+in+"/"+hook, "application/x-www-form-urlencoded", "password="+url.QueryEscape(secretEvent))
			if got != http.StatusServiceUnavailable {
				s.t.Errorf("a panic was answered %d", got)
			}
		}
	}
	for _, path := range []string{"/api/hooks", "/api/events/stream"} {
		s.ask("GET", servers[1]+path, "", "", "Authorization", "Bearer "+secretAdmin)
	}
	s.ask("GET", servers[1]+"/api/events", "", "", "Authorization", "Bearer "+secretAdmin)
	if n := strings.Count(log.String(), `"stack"`); n != 10 {
		s.t.Errorf("%d panics were logged, want 10:\n%s", n, log)
	}
	// The operator may see an error's text here; our own errors hold no secret.
	s.out.add("the log of panics", strings.ReplaceAll(log.String(), `"error":"`+secretPanic+`"`, ""))
}

// kazooFails runs each command that asks Kazoo, and a service, while Kazoo's answers
// hold all secrets. Retries are cut short.
func (s *secrecy) kazooFails() {
	const most = time.Second
	var jobs []job
	for name := range refusals() {
		refusing := "KAZOO_API_URL=" + s.service.cfg.KazooAPIURL.String() + "/refuse/" + name
		change := []string{refusing}
		for _, line := range []string{"plan", "register", "unregister", "doctor --timeout 500ms"} {
			jobs = append(jobs, job{most: most, change: change, args: strings.Fields(line)})
		}
		for _, line := range []string{"plan", "doctor --timeout 500ms"} {
			jobs = append(jobs, job{most: most, change: append(byKey(), refusing+"/key"), args: strings.Fields(line)})
		}
		alone := append(slices.Clone(change), "DATA_DIR="+s.t.TempDir(), "LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0")
		jobs = append(jobs, job{most: ample, change: alone, args: []string{"serve"}, until: "logging in"})
	}
	s.together(jobs)
}
