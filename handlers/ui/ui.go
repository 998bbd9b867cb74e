package ui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed index.html assets
var files embed.FS

// policy is the page's Content-Security-Policy: nothing inline, nothing from
// elsewhere. Trusted Types make the browser refuse innerHTML and the like, so that
// even a bug can't turn an event's text into markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// assetsPlaceholder is replaced in index.html by the path of the assets. The path
// changes with their content, so browsers may cache them forever.
const assetsPlaceholder = "{{assets}}"

// page serves the page and its assets from memory.
type page struct {
	index  []byte          // with assetsPlaceholder
	base   string          // path of the assets, without a leading slash
	assets map[string]file // by path
}

type file struct {
	content     []byte
	contentType string
	etag        string
	caching     string
}

// New returns the handler of the page: / and its assets, 404 for everything else.
// It sets the security headers.
func New() http.Handler {
	p := &page{assets: map[string]file{}}
	all := sha256.New()
	contents := map[string][]byte{}
	// WalkDir goes in the order of names, so the hash is stable. Reading embedded
	// files can't fail.
	_ = fs.WalkDir(files, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		contents[strings.TrimPrefix(name, "assets/")] = content
		all.Write([]byte(name + "\x00"))
		all.Write(content)
		return nil
	})
	p.base = "assets/" + hex.EncodeToString(all.Sum(nil)[:8])
	for name, content := range contents {
		p.assets["/"+p.base+"/"+name] = newFile(content, mime.TypeByExtension(path.Ext(name)), "public, max-age=31536000, immutable")
	}
	p.index, _ = files.ReadFile("index.html")
	return p
}

// indexFor returns the page for the path in X-Forwarded-Prefix, which the admin
// handlers have checked. Without the header the addresses of assets are relative,
// so the page works below any path that ends in a slash.
func (p *page) indexFor(r *http.Request) file {
	base := p.base
	if prefix := r.Header.Get("X-Forwarded-Prefix"); prefix != "" {
		base = prefix + "/" + base
	}
	return newFile(bytes.ReplaceAll(p.index, []byte(assetsPlaceholder), []byte(base)), "text/html; charset=utf-8", "no-cache")
}

func newFile(content []byte, contentType, caching string) file {
	sum := sha256.Sum256(content)
	return file{content, contentType, `"` + hex.EncodeToString(sum[:8]) + `"`, caching}
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	f, ok := p.assets[r.URL.Path]
	if r.URL.Path == "/" {
		f, ok = p.indexFor(r), true
		h.Set("Vary", "X-Forwarded-Prefix")
	}
	if !ok {
		http.Error(w, "There is nothing at this path.", http.StatusNotFound)
		return
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", f.caching)
	h.Set("ETag", f.etag)
	if r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(f.content) // the reader may have hung up
}
