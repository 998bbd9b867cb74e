//go:build real

package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// proxy is a real proxy before a real receiver, as in deploy/proxies.
type proxy struct {
	t       *testing.T
	addr    string // host:port, TLS
	prefix  string // path of PUBLIC_URL
	dir     string // everything that the proxy writes
	wait    string // for a node's answer; only in cluster examples
	paused  bool   // takes no requests; only in cluster examples
	receive *process
}

// proxyKinds says how each proxy is run, by the name of its file in deploy/proxies.
func proxyKinds() map[string]func(p *proxy, snippet string) *exec.Cmd {
	return map[string]func(*proxy, string) *exec.Cmd{
		"nginx%s.conf": func(p *proxy, snippet string) *exec.Cmd {
			conf := p.put("nginx.conf", "user root;\npid "+p.path("pid")+";\ndaemon off;\nerror_log "+p.path("main.log")+" info;\nworker_rlimit_nofile 8192;\nevents { worker_connections 4096; }\nhttp {\naccess_log "+p.path("access.log")+
				";\nclient_body_temp_path "+p.path("body")+";\nproxy_temp_path "+p.path("tmp")+";\n"+snippet+"\n}\n")
			return exec.Command("nginx", "-e", p.path("early.log"), "-p", p.dir, "-c", conf) //nolint:gosec,noctx // the test's own, which stops it itself
		},
		"Caddyfile%s": func(p *proxy, snippet string) *exec.Cmd {
			host, port, _ := strings.Cut(p.addr, ":")
			snippet = strings.Replace(snippet, "\n{\n", "\n{\n\tadmin off\n\tauto_https off\n\tstorage file_system "+p.dir+"\n", 1)
			snippet = strings.Replace(snippet, "hooks.example.com {\n", "https://hooks.example.com:"+port+" {\n\tbind "+host+"\n\ttls "+p.path("cert.pem")+" "+p.path("key.pem")+"\n", 1)
			return exec.Command("caddy", "run", "--adapter", "caddyfile", "--config", p.put("Caddyfile", snippet)) //nolint:gosec,noctx // the test's own, which stops it itself
		},
		"haproxy%s.cfg": func(p *proxy, snippet string) *exec.Cmd {
			p.put("resend.http", "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			conf := p.put("haproxy.cfg", "global\n    log stdout format raw local0\n"+strings.Replace(snippet, "defaults\n", "defaults\n    log global\n    option httplog\n", 1))
			return exec.Command("haproxy", "-db", "-f", conf) //nolint:gosec,noctx // the test's own, which stops it itself
		},
		"apache%s.conf": func(p *proxy, snippet string) *exec.Cmd {
			p.put("resend.asis", "Status: 503 Service Unavailable\nRetry-After: 10\nContent-Type: text/plain\n\n")
			modules := ""
			for _, m := range []string{"mpm_event", "ssl", "proxy", "proxy_http", "headers", "asis", "alias", "authz_core", "socache_shmcb"} {
				modules += "LoadModule " + m + "_module /usr/lib/apache2/modules/mod_" + m + ".so\n"
			}
			conf := p.put("apache.conf", modules+"ServerRoot "+p.dir+"\nPidFile "+p.path("pid")+"\nErrorLog "+p.path("error.log")+
				"\nLogFormat \"%h %r\" common\nCustomLog "+p.path("access.log")+" common\nServerName localhost\nListen "+p.addr+"\n"+snippet)
			return exec.Command("apache2", "-X", "-f", conf) //nolint:gosec,noctx // the test's own, which stops it itself
		},
	}
}

func (p *proxy) path(name string) string { return filepath.Join(p.dir, name) }

func (p *proxy) put(name, content string) string {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), []byte(content), 0o644); err != nil { //nolint:gosec // read by the proxy's user
		p.t.Fatal(err)
	}
	return p.path(name)
}

// certificate writes a certificate and its key, in one file each and both together.
func (p *proxy) certificate() {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hooks.example.com"}, DNSNames: []string{"hooks.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		p.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	p.put("cert.pem", cert)
	p.put("key.pem", private)
	p.put("both.pem", cert+private)
}

// startProxy starts a proxy with the snippet unchanged except for addresses and paths.
func startProxy(t *testing.T, file, prefix string, run func(*proxy, string) *exec.Cmd) *proxy {
	t.Helper()
	p := &proxy{t: t, prefix: prefix, dir: t.TempDir()}
	if err := os.Chmod(p.dir, 0o755); err != nil { //nolint:gosec // the proxy's workers have a user of their own
		t.Fatal(err)
	}
	p.addr = freeAddrs(t, 1)[0]
	p.receive = newProcess(t, "TRUSTED_PROXIES=127.0.0.1")
	p.receive.environ = append(p.receive.environ, "PUBLIC_URL=https://hooks.example.com"+prefix)
	p.receive.start(nil, execServe+" >/dev/null")
	p.certificate()
	suffix := ""
	if prefix != "" {
		suffix = "-prefix"
	}
	raw, err := os.ReadFile(filepath.Join("..", "..", "deploy", "proxies", fmt.Sprintf(file, suffix)))
	if err != nil {
		t.Fatal(err)
	}
	backend := strings.TrimPrefix(p.receive.public, "http://")
	snippet := strings.NewReplacer(
		"listen 443 ssl", "listen "+p.addr+" ssl", "bind :443", "bind "+p.addr, "<VirtualHost *:443>", "<VirtualHost "+p.addr+">",
		"127.0.0.1:8080", backend,
		"/etc/ssl/hooks.example.com.pem", p.path("cert.pem"), "/etc/ssl/hooks.example.com.key", p.path("key.pem"), "/etc/haproxy/hooks.example.com.pem", p.path("both.pem"),
		"/var/log/nginx/error.log", p.path("error.log"), "/etc/haproxy/resend.http", p.path("resend.http"),
		"/etc/apache2/kazoohook/resend.asis", p.path("resend.asis"), "/etc/apache2/kazoohook", p.dir,
	).Replace(string(raw))
	p.run(run(p, snippet))
	return p
}

// run starts the proxy and waits until requests get through it.
func (p *proxy) run(cmd *exec.Cmd) {
	p.t.Helper()
	if _, err := exec.LookPath(cmd.Path); err != nil {
		p.t.Fatalf("%v: install the Debian packages nginx, haproxy, apache2 and caddy", err)
	}
	log, err := os.Create(p.path("output.log"))
	if err != nil {
		p.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the proxy may have ended
		_ = cmd.Wait()
		_ = log.Close()
	})
	end := time.Now().Add(3 * time.Minute)
	want := http.StatusOK
	if p.paused {
		want = http.StatusServiceUnavailable
	}
	for p.ask(http.MethodGet, p.prefix+"/healthz", "").status != want {
		if time.Now().After(end) {
			out, _ := os.ReadFile(p.path("output.log"))
			p.t.Fatalf("the proxy doesn't answer:\n%s", out)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (p *proxy) dial() (net.Conn, error) {
	d := tls.Dialer{Config: &tls.Config{ServerName: "hooks.example.com", InsecureSkipVerify: true}} //nolint:gosec // the certificate is the test's own
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	c, err := d.DialContext(ctx, "tcp", p.addr)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(3 * time.Minute))
	}
	return c, err
}

// ask makes a request. Without an answer, the status is 0.
func (p *proxy) ask(method, target, body string) response {
	return p.raw(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: hooks.example.com\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		method, target, len(body), body))
}

// raw sends bytes and reads one answer.
func (p *proxy) raw(text string) response {
	p.t.Helper()
	c, err := p.dial()
	if err != nil {
		p.t.Log("connect:", err)
		return response{}
	}
	defer func() { _ = c.Close() }() // nothing more is needed
	return p.over(c, text)
}

// over is raw over a connection.
func (p *proxy) over(c net.Conn, text string) response {
	p.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		p.t.Log(err) // the proxy may have closed it already
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		p.t.Log("no answer:", err)
		return response{}
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	raw, _ := io.ReadAll(resp.Body)          // as much as there is
	if resp.StatusCode/100 == 3 {
		p.t.Errorf("%.100q is redirected to %s", text, resp.Header.Get("Location"))
	}
	return response{resp.StatusCode, resp.Header, string(raw)}
}

// TestProxies runs each example with the real proxy. Deliveries get through and nothing
// else does. A receiver that is down becomes a 503 with Retry-After. The secret is in
// no log, even after malformed requests.
func TestProxies(t *testing.T) {
	t.Parallel()
	for file, run := range proxyKinds() {
		for _, prefix := range []string{"", "/hooks"} {
			t.Run(fmt.Sprintf(file, prefix), func(t *testing.T) {
				t.Parallel()
				p := startProxy(t, file, prefix, run)
				path := prefix + "/kazoo/" + processSecret + "/object"
				body := func(i int) string {
					return fmt.Sprintf("id=%032x&account_id=%032x&action=doc_deleted&type=user", i, 1)
				}
				if got := p.ask(http.MethodPost, path, body(1)); got.status != http.StatusOK {
					t.Errorf("a delivery: %d %s", got.status, got.body)
				}
				if got := p.ask(http.MethodPost, path, body(2)+"&x="+strings.Repeat("x", 900<<10)); got.status != http.StatusOK {
					t.Errorf("a large delivery: %d %s", got.status, got.body)
				}
				if got := p.ask(http.MethodGet, path+"?"+body(3), ""); got.status != http.StatusOK {
					t.Errorf("a delivery by GET: %d %s", got.status, got.body)
				}
				for _, other := range []string{"/", "/readyz", "/metrics", "/api/events", prefix + "/readyz", "/kazoo", "/hook"} {
					if got := p.ask(http.MethodGet, other, ""); got.status != http.StatusNotFound {
						t.Errorf("%s: %d", other, got.status)
					}
				}
				if strings.HasPrefix(file, "nginx") {
					p.cantBuffer(path, body(6))
				}
				p.malformed(path)
				p.receive.stop()
				for range 2 {
					if got := p.ask(http.MethodPost, path, body(4)); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "10" {
						t.Errorf("the receiver is away: %d %v %s", got.status, got.header, got.body)
					}
				}
				p.hangsUp(path, body(5))
				p.malformed(path)
				p.receive.start(nil, execServe+" >/dev/null")
				if got := p.ask(http.MethodPost, path, body(4)); got.status != http.StatusOK {
					t.Errorf("the receiver is back: %d %s", got.status, got.body)
				}
				p.secretNowhere()
			})
		}
	}
}
