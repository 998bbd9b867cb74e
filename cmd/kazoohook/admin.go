package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"kazoohook/config"
	"kazoohook/internal/journal"
)

// admin talks to the admin listener of the running service.
type admin struct {
	base, token string
	http        *http.Client
}

// errNotRunning reports that nothing listens at the admin address.
var errNotRunning = errors.New("the service is not running")

// newAdmin returns a client of the service that cfg describes.
func newAdmin(cfg *config.Config) (*admin, error) {
	host, err := dialable(cfg.AdminAddr)
	if err != nil {
		return nil, exit(codeUsage, err)
	}
	return &admin{base: "http://" + host, token: cfg.AdminToken.Reveal(), http: &http.Client{Transport: &http.Transport{}}}, nil
}

// do sends a request and returns the answer if it is a 200. The caller closes
// its body.
func (a *admin) do(ctx context.Context, method, path string, query url.Values, body any, header http.Header) (*http.Response, error) {
	var r io.Reader
	given := query
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r, given = bytes.NewReader(raw), fieldsOf(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path+"?"+query.Encode(), r)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := a.http.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w: nothing listens at ADMIN_ADDR %s", errNotRunning, strings.TrimPrefix(a.base, "http://"))
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer func() { _ = resp.Body.Close() }() // only read from
		return nil, a.refused(resp, given)
	}
	return resp, nil
}

// fieldsOf returns the fields of a JSON object as parameters.
func fieldsOf(raw []byte) url.Values {
	var fields map[string]any
	_ = json.Unmarshal(raw, &fields) // our own objects
	v := url.Values{}
	for name, value := range fields {
		v.Set(name, fmt.Sprint(value))
	}
	return v
}

// refused turns a problem into an error for the operator. For a wrong argument, the
// answer has its name and what is accepted, and given has the wrong one.
func (a *admin) refused(resp *http.Response, given url.Values) error {
	var problem struct{ Title, Detail string }
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&problem) // the answer may not be JSON
	name, accepted, _ := strings.Cut(problem.Detail, ":")
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%s wants another ADMIN_TOKEN (ADMIN_TOKEN_FILE) than the one given here", a.base)
	case resp.StatusCode == http.StatusBadRequest && given.Has(name):
		flag := strings.ReplaceAll(name, "_", "-")
		return exit(codeUsage, fmt.Errorf("--%s %q is wrong; use%s", flag, strings.Join(given[name], ","), accepted))
	case resp.StatusCode == http.StatusBadRequest:
		return exit(codeUsage, errors.New("the service doesn't take these arguments; perhaps it runs another version than this command"))
	case problem.Detail != "":
		return fmt.Errorf("%s answered %s: %s", a.base, resp.Status, problem.Detail)
	}
	return fmt.Errorf("%s answered %s", a.base, resp.Status)
}

// post sends body and decodes the answer into out.
func (a *admin) post(ctx context.Context, path string, body, out any) error {
	resp, err := a.do(ctx, http.MethodPost, path, nil, body, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("%s gave an answer that is not JSON: %w", a.base, err)
	}
	return nil
}

// withService runs f against the running service, for commands that need it.
func withService(cfg *config.Config, command string, f func(*admin) error) error {
	if cfg.AdminAddr.Off() {
		return fmt.Errorf("%s needs the running service, and ADMIN_ADDR is off: it can't be reached", command)
	}
	a, err := newAdmin(cfg)
	if err != nil {
		return err
	}
	if err = f(a); errors.Is(err, errNotRunning) {
		return fmt.Errorf("%s needs the running service: %w", command, err)
	}
	return err
}

// withAdmin runs f against the running service or, if there is none, against a
// temporary server for the data directory. A query works the same either way.
func (e *env) withAdmin(ctx context.Context, cfg *config.Config, f func(*admin) error) error {
	if !cfg.AdminAddr.Off() {
		a, err := newAdmin(cfg)
		if err != nil {
			return err
		}
		if err := f(a); !errors.Is(err, errNotRunning) {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(cfg.DataDir, journal.FileName)); err != nil {
		return fmt.Errorf("%w at ADMIN_ADDR %s, and DATA_DIR %s holds no journal", errNotRunning, cfg.AdminAddr, cfg.DataDir)
	}
	token := rand.Text()
	handler, done, err := e.offline(ctx, cfg, token)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, done())
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: readTimeout}
	go func() { _ = srv.Serve(ln) }() // ends with Close
	a := &admin{base: "http://" + ln.Addr().String(), token: token, http: &http.Client{Transport: &http.Transport{}}}
	return errors.Join(f(a), srv.Close(), done())
}
