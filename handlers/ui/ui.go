// Package ui is the page for people: what the receiver hears and whether it
// hears everything. It is embedded as it is written, without a build step, asks
// nobody but the admin listener for anything, and holds no data of its own.
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
// elsewhere. Trusted Types make the browser refuse innerHTML and its kin: text
// from an event can't become markup, not even by a mistake of ours.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// assetsPlaceholder stands in index.html for the path of the assets, which
// changes with their content: browsers may keep them forever.
const assetsPlaceholder = "{{assets}}"

// page serves the page and its assets from memory.
type page struct {
	index  file
	assets map[string]file // by path
}

type file struct {
	content     []byte
	contentType string
	etag        string
	caching     string
}

// New returns the handler of the page: / and its assets, 404 for everything
// else. It sets its own security headers.
func New() http.Handler {
	p := &page{assets: map[string]file{}}
	all := sha256.New()
	contents := map[string][]byte{}
	// The order of WalkDir is that of the names, so that the hash is stable. What
	// is embedded can't fail to be read.
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
	base := "/assets/" + hex.EncodeToString(all.Sum(nil)[:8])
	for name, content := range contents {
		p.assets[base+"/"+name] = newFile(content, mime.TypeByExtension(path.Ext(name)), "public, max-age=31536000, immutable")
	}
	index, _ := files.ReadFile("index.html")
	index = bytes.ReplaceAll(index, []byte(assetsPlaceholder), []byte(base))
	p.index = newFile(index, "text/html; charset=utf-8", "no-cache")
	return p
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
	f, ok := p.index, true
	if r.URL.Path != "/" {
		f, ok = p.assets[r.URL.Path]
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
	_, _ = w.Write(f.content) // the reader may have gone
}
