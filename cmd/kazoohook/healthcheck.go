package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"kazoohook/config"
)

// healthcheckCmd checks the health of a running service. The image has no shell and
// no curl, so the program is its own health check.
type healthcheckCmd struct {
	Ready   bool      `help:"Ask /readyz, which is for alerts: it also fails when Kazoo's API is away. A container's check must not ask this."`
	Admin   bool      `help:"Ask the admin listener, not the public one."`
	Timeout limitFlag `default:"3s" help:"Time to wait for the answer."`
	settings
}

// Run succeeds if the answer is 200.
func (c *healthcheckCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	addr, path, scheme := cfg.ListenAddr, "/healthz", publicScheme(cfg)
	if c.Admin {
		addr, scheme = cfg.AdminAddr, "http://"
	}
	if c.Ready {
		path = "/readyz"
	}
	host, err := dialable(addr)
	if err != nil {
		return exit(codeUsage, err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.Timeout))
	defer cancel()
	body, err := fetch(ctx, scheme+host+path)
	if err != nil {
		return fmt.Errorf("not well: %w", err)
	}
	_, err = fmt.Fprintln(e.stdout, printable(body))
	return err
}

// publicScheme returns the URL scheme of the public listener on this machine.
func publicScheme(cfg *config.Config) string {
	if cfg.TLSCertFile != "" || len(cfg.AcmeDomains) > 0 {
		return "https://"
	}
	return "http://"
}

// ourselves returns a transport to our own listener. It doesn't verify the
// certificate, which doesn't name the address.
func ourselves() *http.Transport {
	return &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // see above
}

// dialable turns an address to listen on into one to connect to.
func dialable(a config.Addr) (string, error) {
	if a.Off() {
		return "", errors.New("the admin listener is off; ask the public one")
	}
	host, port, err := net.SplitHostPort(string(a))
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", fmt.Errorf("the port of %q is chosen at the start and not known here; give --listen-addr or --admin-addr", a)
	}
	switch ip, err := netip.ParseAddr(host); {
	case host == "", err == nil && ip.IsUnspecified() && ip.Is4():
		host = "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}

// fetch returns the body of a 200. It ignores the environment's proxies, which
// could not reach us.
func fetch(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: ourselves()}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return "", err
	}
	body := strings.TrimSpace(string(b))
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answered %s: %s", url, resp.Status, body)
	}
	return body, nil
}
