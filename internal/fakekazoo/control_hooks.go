package fakekazoo

import (
	"net/http"
	"time"
)

// controlHooks are the changes that somebody else makes to hooks, and the state
// of the applications.
func (k *Kazoo) controlHooks(on controlFunc) {
	with := func(pattern string, do func(*http.Request, controlBody) error) {
		on(pattern, func(r *http.Request) (any, error) {
			b, err := readControl[controlBody](r)
			if err != nil {
				return nil, err
			}
			return nil, do(r, b)
		})
	}
	on("POST /hooks", func(r *http.Request) (any, error) {
		b, err := readControl[controlBody](r)
		if err != nil {
			return nil, err
		}
		return withID(k.CreateHook(b.Account, b.Fields))
	})
	with("PATCH /hooks/{id}", func(r *http.Request, b controlBody) error {
		if b.For == "" {
			return k.ChangeHook(r.PathValue("id"), b.Fields)
		}
		d, err := time.ParseDuration(b.For)
		if err != nil {
			return err
		}
		return k.ChangeHookFor(r.PathValue("id"), b.Fields, d)
	})
	on("DELETE /hooks/{id}", func(r *http.Request) (any, error) { return nil, k.DeleteHook(r.PathValue("id")) })
	with("POST /hooks/{id}/disable", func(r *http.Request, b controlBody) error {
		return k.DisableHook(r.PathValue("id"), b.Reason)
	})
	with("PUT /hook-delay", func(_ *http.Request, b controlBody) error {
		d, err := time.ParseDuration(b.Delay)
		if err == nil {
			k.SetHookDelay(d)
		}
		return err
	})
	with("PUT /view-lag", func(_ *http.Request, b controlBody) error {
		d, err := time.ParseDuration(b.Lag)
		if err == nil {
			k.SetViewLag(d, b.Listings...)
		}
		return err
	})
	with("PUT /offer", func(_ *http.Request, b controlBody) error {
		d, err := duration(b.For)
		if err != nil {
			return err
		}
		return k.SetOffer(Offer{State: b.State, Missing: b.Missing, For: d})
	})
	on("POST /restart", func(*http.Request) (any, error) { k.Restart(); return nil, nil })
}
