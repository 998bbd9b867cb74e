package fakekazoo

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Listings without end, bombs, dripping answers, and one account that always fails.
func TestHostileAPI(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c := logIn(t, k)
	inject := func(f Fault) {
		t.Helper()
		k.ClearFaults()
		if _, err := k.Inject(f); err != nil {
			t.Fatal(err)
		}
	}
	inject(Fault{Kind: FaultEndless})
	for _, path := range []string{"/users", "/webhooks/attempts", "/users?paginate=false"} {
		seen, sep, next := map[string]bool{}, "?", ""
		if strings.Contains(path, "?") {
			sep = "&"
		}
		for range 20 {
			body := c.ask(200, "GET", path+sep+"start_key="+next, nil)
			for _, row := range rowsOf(body) {
				seen[row.(*jobj).str("id")+row.(*jobj).str("hook_id")] = true
			}
			next = body.str("next_start_key")
		}
		if len(seen) != 1000 || next == "" {
			t.Errorf("%s: %d rows, next %q", path, len(seen), next)
		}
	}
	inject(Fault{Kind: FaultBomb, Op: "users.list", Size: 64 << 20})
	r, err := http.NewRequestWithContext(t.Context(), "GET", c.srv.URL+"/v2/accounts/"+DefaultAccountID+"/users", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", c.token)
	r.Header.Set("Accept-Encoding", "gzip") // set here, so that the client doesn't unpack it
	res, err := c.srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	packed, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, z) //nolint:gosec // a bomb on purpose
	if err != nil || n < 64<<20 || len(packed) > 1<<20 {
		t.Errorf("%d bytes of %d: %v", n, len(packed), err)
	}

	inject(Fault{Kind: FaultDrip, Delay: 10 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	res2, err := c.srv.Client().Do(r.Clone(ctx))
	if err == nil {
		_, err = io.ReadAll(res2.Body)
		_ = res2.Body.Close()
	}
	if err == nil {
		t.Error("the answer ended in time")
	}

	inject(Fault{Kind: FaultStatus, Status: 500, Op: "*.list", Account: "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab50"})
	c.ask(200, "GET", "/users", nil)
	for range 3 {
		if status, _ := c.do("GET", "/v2/accounts/5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab50/users", nil); status != 500 {
			t.Error(status)
		}
	}
}

func TestFaultsExpire(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c := logIn(t, k)
	f := Fault{}
	if err := json.Unmarshal([]byte(`{"kind":"status","for":"300ms"}`), &f); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Inject(f); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(f)
	if err != nil || !strings.Contains(string(raw), `"for":"300ms"`) {
		t.Error(string(raw), err)
	}
	if json.Unmarshal([]byte(`{"kind":"status","for":"x"}`), &f) == nil {
		t.Error("x was accepted as a duration")
	}
	eventually(t, "the fault is over", func() bool { return len(k.Faults()) == 0 })
	c.ask(200, "GET", "/users", nil)
}

func TestAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c := logIn(t, k)
	res, raw, err := c.raw("GET", "/v2/webhooks", nil)
	if err != nil || !res.Uncompressed || !json.Valid(raw) {
		t.Error(res.Uncompressed, err)
	}
	c.token = ""
	status, body := c.do("GET", "/v2/accounts/"+DefaultAccountID, nil)
	if diff := cmp.Diff(`"undefined"`, text(body.get("auth_token"))); status != 401 || diff != "" {
		t.Error(status, diff)
	}
}

func TestDeletedLoginAccount(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c, do := logIn(t, k), control(t, k)
	hook := mustHook(t, k, objectHook("http://x/"))
	do(400, "DELETE", "/accounts/acme", "") // it has descendants
	do(200, "DELETE", "/accounts/acme?descendants=true", "")
	do(404, "DELETE", "/accounts/acme?descendants=true", "")
	for _, path := range []string{"", "/webhooks", "/webhooks/" + hook, "/users"} {
		c.ask(401, "GET", path, nil)
	}
	if status, _ := c.do("PUT", "/v2/user_auth", obj("credentials", credentials("md5", DefaultUsername, DefaultPassword), "account_name", "acme")); status != 401 {
		t.Error(status)
	}
	if len(k.Hooks()) != 0 || len(k.Accounts()) != 2 {
		t.Error(k.Hooks(), k.Accounts())
	}
	// The master account gets a 404.
	if err := k.AddLogin("master", "root", "toor"); err != nil {
		t.Fatal(err)
	}
	_, body := c.do("PUT", "/v2/user_auth", obj("credentials", credentials("md5", "root", "toor"), "account_name", "master"))
	c.token = body.str("auth_token")
	c.ask(404, "GET", "", nil)
}
