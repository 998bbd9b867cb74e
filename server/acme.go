package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/cenkalti/backoff/v5"
	"github.com/mholt/acmez/v3"
	"github.com/rs/zerolog"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// ACMEOptions say which names need certificates and which CA gives them.
type ACMEOptions struct {
	Domains  []string
	Email    string         // to which the CA may write; "": none
	CA       string         // URL of its directory; "": Let's Encrypt
	Roots    *x509.CertPool // verify the CA's own certificate; nil: the system's
	HTTPAddr string         // where HTTP-01 is answered; Off: nowhere
	Dir      string         // for account, keys and certificates; created with mode 0700
	Log      zerolog.Logger

	// Retry is the pause after the first failure to get a certificate; it grows up
	// to RetryMost. Defaults 2 min and 6 h: Let's Encrypt takes five failures an hour.
	Retry, RetryMost time.Duration
	// Check is the time between two checks for due renewals. A renewal is due when
	// a third of a certificate's life is left, or when the CA asks for it. Default
	// 10 min.
	Check time.Duration
}

// ACME gets certificates from a CA and renews them. Until it has one, the listener
// uses a self-signed certificate, which Kazoo 4 accepts. Safe for concurrent use.
type ACME struct {
	opts   ACMEOptions
	cache  *certmagic.Cache
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer

	standIn func() (*tls.Certificate, error)

	mu       sync.Mutex
	failures map[string]certificateFailure // by domain
}

// NewACME returns an ACME. There is no I/O before Run.
func NewACME(o ACMEOptions) *ACME {
	if o.Retry <= 0 {
		o.Retry = 2 * time.Minute
	}
	if o.RetryMost <= 0 {
		o.RetryMost = 6 * time.Hour
	}
	a := &ACME{opts: o, failures: map[string]certificateFailure{}}
	a.standIn = sync.OnceValues(func() (*tls.Certificate, error) { return selfSigned(o.Domains) })
	details := zap.New(detailCore{o.Log})
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil },
		RenewCheckInterval: o.Check, Logger: details,
	})
	a.config = certmagic.New(a.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: o.Dir},
		// With an RSA key, Erlang releases whose OpenSSL has no elliptic curves can
		// agree on RSA key exchange: see tlsConfig.
		KeySource:         certmagic.StandardKeyGenerator{KeyType: certmagic.RSA2048},
		DefaultServerName: o.Domains[0], FallbackServerName: o.Domains[0],
		OnEvent: a.happened, Logger: details,
	})
	a.issuer = certmagic.NewACMEIssuer(a.config, certmagic.ACMEIssuer{
		CA: o.CA, Email: o.Email, Agreed: true, TrustedRoots: o.Roots, Logger: details,
	})
	a.config.Issuers = []certmagic.Issuer{a.issuer}
	return a
}

// TLSConfig returns the public listener's TLS settings with these certificates.
// They also answer TLS-ALPN-01.
func (a *ACME) TLSConfig() *tls.Config { return tlsConfig(a.get, acmez.ACMETLS1Protocol) }

// get is tls.Config's GetCertificate.
func (a *ACME) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert, err := a.config.GetCertificateWithContext(hello.Context(), hello)
	if err == nil || len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmez.ACMETLS1Protocol {
		return cert, err
	}
	return a.standIn()
}

// Run gets and renews certificates until ctx ends; public is the public listener's
// address. It logs failures, reports them in States and tries again.
func (a *ACME) Run(ctx context.Context, public net.Addr) error {
	defer a.cache.Stop()
	stop := a.answerHTTP(ctx)
	defer stop()
	host, port, err := net.SplitHostPort(public.String())
	if err != nil {
		return fmt.Errorf("address of the public listener: %w", err)
	}
	// The library finds that this port is in use and leaves the answers to us.
	if a.issuer.AltTLSALPNPort, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("port of the public listener: %w", err)
	}
	if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
		a.issuer.ListenHost = host
	}
	var g errgroup.Group
	for _, domain := range a.opts.Domains {
		g.Go(func() error {
			a.manage(ctx, domain)
			return nil
		})
	}
	<-ctx.Done()
	return g.Wait()
}

// manage gets the first certificate of a domain, or reads the stored one. From then
// on the library renews it.
func (a *ACME) manage(ctx context.Context, domain string) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval, retry.Multiplier, retry.RandomizationFactor = a.opts.Retry, a.opts.RetryMost, 2, 0.1
	for {
		err := a.config.ManageSync(ctx, []string{domain})
		if err == nil || ctx.Err() != nil {
			return
		}
		pause := retry.NextBackOff()
		a.failed(domain, err, time.Now().Add(pause))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// happened handles the library's events about certificates.
func (a *ACME) happened(ctx context.Context, event string, data map[string]any) error {
	domain, _ := data["identifier"].(string)
	renewal, _ := data["renewal"].(bool)
	switch event {
	case "cert_obtained":
		a.mu.Lock()
		delete(a.failures, domain)
		a.mu.Unlock()
		msg := "the CA has given a certificate"
		if renewal {
			msg = "certificate renewed"
		}
		a.opts.Log.Info().Str("domain", domain).Msg(msg)
	case "cert_failed":
		if err, _ := data["error"].(error); renewal && err != nil && ctx.Err() == nil {
			a.failed(domain, err, time.Time{})
		}
	}
	return nil
}

// challengeConns limits the connections of the listener for HTTP-01.
const challengeConns = 128

// AnswersHTTP reports whether HTTP-01 is answered on a listener of its own; nil: no.
func (a *ACME) AnswersHTTP() bool {
	return a != nil && a.opts.HTTPAddr != "" && a.opts.HTTPAddr != Off
}

// answerHTTP answers HTTP-01 on its own listener, and everything else with 404. If
// it can't listen, only TLS-ALPN-01 is left.
func (a *ACME) answerHTTP(ctx context.Context) (stop func()) {
	a.issuer.DisableHTTPChallenge = true
	nothing := func() {}
	if !a.AnswersHTTP() {
		return nothing
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", a.opts.HTTPAddr)
	if err != nil {
		a.opts.Log.Warn().Err(err).Msg("HTTP-01 can't be answered (ACME_HTTP_ADDR): the CA is asked to check by TLS-ALPN-01, which needs port 443")
		return nothing
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		_ = ln.Close()
		return nothing
	}
	a.issuer.DisableHTTPChallenge = false
	a.issuer.AltHTTPPort = tcp.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener's
	const limit = 10 * time.Second
	limited := newLimited(tcp, challenges(maxFiles()))
	srv := &http.Server{
		Handler: limited.follow(a.issuer.HTTPChallengeHandler(http.NotFoundHandler())), ReadTimeout: limit, WriteTimeout: limit,
		MaxHeaderBytes: 8 << 10, ConnState: limited.state, ConnContext: limited.context, ErrorLog: errorLog(a.opts.Log),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(limited); !errors.Is(err, http.ErrServerClosed) {
			a.opts.Log.Error().Err(err).Msg("HTTP-01 is no longer answered")
		}
	}()
	return func() {
		_ = srv.Close() // the CA repeats a challenge that this cuts off
		<-done
	}
}
