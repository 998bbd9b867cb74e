package crossbar

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func ourHook() Hook {
	return Hook{
		Hook: "object", Name: "kazoohook object user doc_deleted", URI: "https://r.example.com/kazoo/s3cretS3cretS3cret/object",
		Verb: "post", Format: "form-data", Retries: 3, Enabled: true,
		CustomData: map[string]any{"type": "user", "action": "doc_deleted"},
	}
}

const hooksPath = "/v2/accounts/" + testAccount + "/webhooks"

func TestHookCalls(t *testing.T) {
	t.Parallel()
	var sent map[string]any
	echo := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			sent = readData(t, r)
			data := map[string]any{"id": "h1"}
			for k, v := range sent {
				data[k] = v
			}
			reply(w, code, map[string]any{"status": "success", "data": data})
		}
	}
	a := newAPI()
	a.authed("PUT "+hooksPath, echo(201))
	a.authed("POST "+hooksPath+"/h1", echo(200))
	a.authed("PATCH "+hooksPath+"/h1", echo(200))
	a.authed("DELETE "+hooksPath+"/h1", func(w http.ResponseWriter, _ *http.Request) { ok(w, map[string]any{}) })
	a.authed("DELETE "+hooksPath+"/empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	a.authed("DELETE "+hooksPath+"/gone", func(w http.ResponseWriter, _ *http.Request) { fail(w, 404, "bad identifier", nil) })
	a.authed("DELETE "+hooksPath+"/proxy", raw(404, "text/plain", "404 page not found"))
	a.authed("GET "+hooksPath+"/h1", func(w http.ResponseWriter, _ *http.Request) {
		ok(w, json.RawMessage(`{"id":"h1","hook":"object","name":"n","uri":"u","http_verb":"POST","format":"form-data",
			"retries":"2","custom_data":{"type":"user","n":12345678901234567890},"include_subaccounts":"true","enabled":false,
			"disable_reason":"too many failed attempts","version":"v2"}`))
	})
	a.authed("GET "+hooksPath+"/bare", func(w http.ResponseWriter, _ *http.Request) {
		ok(w, json.RawMessage(`{"id":"bare","hook":"all","custom_data":[]}`))
	})
	a.authed("GET "+hooksPath+"/list", func(w http.ResponseWriter, _ *http.Request) { ok(w, []any{}) })
	a.authed("GET "+hooksPath, func(w http.ResponseWriter, _ *http.Request) {
		ok(w, json.RawMessage(`[{"id":"h1","hook":"object","name":"n","uri":"u","enabled":false,"disable_reason":"x","group":"g"},{"id":"h2","hook":"all"}]`))
	})
	c, _ := inMemory(t, a)
	ctx := t.Context()

	made, err := c.CreateHook(ctx, testAccount, ourHook())
	want := ourHook()
	want.ID = "h1"
	if d := cmp.Diff(want, made, cmpopts.IgnoreFields(Hook{}, "Raw")); err != nil || d != "" {
		t.Error(err, d)
	}
	if d := cmp.Diff(map[string]any{
		"hook": "object", "name": want.Name, "uri": want.URI, "http_verb": "post", "format": "form-data", "retries": 3.0,
		"include_subaccounts": false, "enabled": true, "custom_data": want.CustomData,
	}, sent); d != "" {
		t.Error(d)
	}
	if made, err = c.ReplaceHook(ctx, testAccount, Hook{ID: "h1", Hook: "all", Retries: -1, Version: "v2"}); err != nil || made.Format != "form-data" ||
		made.Verb != "post" || made.Retries != 0 || made.Version != "v2" || made.CustomData != nil {
		t.Errorf("%+v %v", made, err)
	}
	if _, err := c.EnableHook(ctx, testAccount, "h1"); err != nil || len(sent) != 1 || sent["enabled"] != true {
		t.Error(sent, err)
	}
	got, err := c.Hook(ctx, testAccount, "h1")
	if d := cmp.Diff(Hook{
		ID: "h1", Hook: "object", Name: "n", URI: "u", Verb: "post", Format: "form-data", Retries: 2, IncludeSubaccounts: true,
		CustomData:    map[string]any{"type": "user", "n": json.Number("12345678901234567890")},
		DisableReason: "too many failed attempts", Version: "v2",
	}, got, cmpopts.IgnoreFields(Hook{}, "Raw")); err != nil || d != "" {
		t.Error(err, d)
	}
	if got, err = c.Hook(ctx, testAccount, "bare"); err != nil || !got.Enabled || got.Retries != -1 || len(got.CustomData) != 0 {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := c.Hook(ctx, testAccount, "list"); err == nil || errors.Is(err, ErrAmbiguous) {
		t.Errorf("list as a hook: %v", err)
	}
	hooks, err := c.Hooks(ctx, testAccount)
	if d := cmp.Diff([]HookSummary{
		{ID: "h1", Hook: "object", Name: "n", URI: "u", Group: "g", DisableReason: "x"}, {ID: "h2", Hook: "all", Enabled: true},
	}, hooks); err != nil || d != "" {
		t.Error(err, d)
	}
	for id, good := range map[string]bool{"h1": true, "empty": true, "gone": true, "proxy": false, "": false} {
		if err := c.DeleteHook(ctx, testAccount, id); (err == nil) != good {
			t.Errorf("delete %q: %v", id, err)
		}
	}
	if _, err := c.Hook(ctx, testAccount, ""); err == nil {
		t.Error("read without an id")
	}
	if _, err := c.Hooks(ctx, ""); err == nil {
		t.Error("listed without an account")
	}
	if _, err := c.CreateHook(ctx, "", ourHook()); err == nil {
		t.Error("created without an account")
	}
}

func TestCreateHookIsNotRepeatedBlindly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		f         http.HandlerFunc
		ambiguous bool
		puts      int // at most
	}{
		"answer lost":   {breaking(cut{}), true, 1},
		"timeout":       {breaking(hang{}), true, 1},
		"500":           {status(500), true, 1},
		"503":           {status(503), true, 1},
		"gateway":       {raw(502, "text/html", "<html>"), true, 1},
		"truncated":     {raw(201, "application/json", `{"status":"success","da`), true, 1},
		"html 200":      {raw(200, "text/html", "<html>"), true, 1},
		"empty 201":     {raw(201, "", ""), true, 1},
		"no data":       {raw(201, "application/json", `{"status":"success"}`), true, 1},
		"no id":         {raw(201, "application/json", `{"status":"success","data":{}}`), true, 1},
		"too large":     {raw(201, "application/json", `{"status":"success","x":"`+strings.Repeat("x", 200_000)+`"}`), true, 1},
		"200 error 500": {raw(200, "application/json", `{"status":"error","error":"500"}`), true, 1},
		"400":           {status(400), false, 1},
		"200 error 400": {raw(200, "application/json", `{"status":"error","error":"400"}`), false, 1},
		"401":           {status(401), false, 2},
		"redirect":      {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "https://x/", http.StatusFound) }, false, 1},
		"429":           {status(429), false, 100},
		"refused":       {breaking(refuse{}), false, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newAPI()
				a.HandleFunc("PUT "+hooksPath, tc.f)
				c, m := inMemory(t, a)
				c.limits.answer = 100_000
				_, err := c.CreateHook(t.Context(), testAccount, ourHook())
				if err == nil || errors.Is(err, ErrAmbiguous) != tc.ambiguous {
					t.Errorf("error %v", err)
				}
				if n := m.count("PUT " + hooksPath); n > tc.puts || tc.puts == 100 && n < 3 {
					t.Errorf("%d requests", n)
				}
				if strings.Contains(err.Error(), "s3cret") {
					t.Errorf("error %v", err)
				}
			})
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a := newAPI()
			a.HandleFunc("PUT "+hooksPath, breaking(hang{}))
			c, _ := inMemory(t, a)
			login(t, c)
			ctx, cancel := timeout(t, time.Second)
			defer cancel()
			_, err := c.CreateHook(ctx, testAccount, ourHook())
			if !errors.Is(err, ErrAmbiguous) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("in flight: %v", err)
			}
			_, err = c.CreateHook(ctx, testAccount, ourHook())
			if err == nil || errors.Is(err, ErrAmbiguous) {
				t.Errorf("before it was sent: %v", err)
			}
		})
	})
}
