package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"

	"kazoohook/config"
)

// checkService asks the service on this machine for its readiness: the admin
// listener, which has more details, or else the public one.
func (d *doctor) checkService(ctx context.Context) ([]finding, bool) {
	const notHere = "start it with \"kazoohook serve\", or run doctor where it runs, with its settings"
	var asked []string
	for i, addr := range []config.Addr{d.cfg.AdminAddr, d.cfg.ListenAddr} {
		host, err := dialable(addr)
		if err != nil {
			continue // off, or a port chosen at the start
		}
		scheme := []string{"http://", publicScheme(d.cfg)}[i]
		got, err := get(ctx, ourselves(), scheme+host+"/readyz")
		if errors.Is(err, syscall.ECONNREFUSED) {
			asked = append(asked, host)
			continue
		}
		f := readiness(host, got, err)
		d.running.Store(err == nil && (f.Status == statusOK || got.status == http.StatusServiceUnavailable))
		return one(f), true
	}
	if asked == nil {
		return one(skipped("the addresses of its listeners are not known here")), true
	}
	return one(warned(notHere, "no service runs here: nothing listens at %s", strings.Join(asked, " or "))), true
}

// readiness returns the finding for an answer of /readyz.
func readiness(host string, got answer, err error) finding {
	const stranger = "another program has the port: end it, or choose other addresses (LISTEN_ADDR, ADMIN_ADDR)"
	if err != nil {
		return broken("look at the service's log; restart it if it hangs", "%s accepts connections but doesn't answer: %v", host, err)
	}
	var body struct {
		Ready  *bool `json:"ready"`
		Checks []struct {
			Name   string `json:"name"`
			OK     bool   `json:"ok"`
			Detail string `json:"detail"`
		} `json:"checks"`
	}
	if json.Unmarshal([]byte(got.body), &body) != nil || body.Ready == nil {
		return broken(stranger, "%s answers %d, and not as kazoohook does", host, got.status)
	}
	if *body.Ready {
		return fine("runs and is ready, says %s", host)
	}
	var why []string
	for _, c := range body.Checks {
		if !c.OK {
			why = append(why, strings.TrimSuffix(c.Name+": "+c.Detail, ": "))
		}
	}
	return broken("the other checks and the service's log say why", "runs but is not ready, says %s: %s", host, strings.Join(why, "; "))
}

// answer is the answer to a GET.
type answer struct {
	status int
	header http.Header
	body   string // the first 64 KiB
}

// get fetches a URL without following redirects and without the environment's
// proxies, which Kazoo doesn't use.
func get(ctx context.Context, transport *http.Transport, target string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("User-Agent", version().userAgent())
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, plainly(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return answer{}, plainly(ctx, err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}, nil
}
