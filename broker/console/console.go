// Package console is the web console: pages and scripts that are embedded as they
// are written, without a build step, and the ring of numbers that its charts show.
// What it shows comes from the routes under /api, which the root package serves;
// nothing in here knows the broker.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

// Path is where the console is; everything below it is the console's.
const Path = "/console"

const assetPath = Path + "/assets/"

// worthGzip is the size in bytes below which compression gains nothing.
const worthGzip = 512

// policy lets the pages load what this server gives and nothing else. The texts that a
// page has inline for its first paint are named by their hashes.
func policy(inline inlined) string {
	return "default-src 'none'; script-src 'self'" + inline.scripts + "; style-src 'self'" + inline.styles + "; img-src 'self' data:; " +
		"connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

//go:embed assets
var assets embed.FS

// asset is a file as it is served.
type asset struct {
	kind   string // media type
	tag    string // ETag: a hash of plain
	policy string // Content-Security-Policy
	plain  []byte
	small  []byte // gzip; nil where it would not be smaller
}

// Handler serves the console at Path and below it: the files of assets, and the page
// for every other path, since those are places within the console. Each file is read
// and compressed when it is first asked for: a broker whose console nobody opens spends
// nothing on it, and the first page waits for what it needs only. Safe for concurrent
// use.
func Handler() http.Handler {
	list := sync.OnceValues(listAssets)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the console's pages are only read", http.StatusMethodNotAllowed)
			return
		}
		all, err := list()
		if err != nil { // the files are part of the program
			http.Error(w, "console: "+err.Error(), http.StatusInternalServerError)
			return
		}
		name, isAsset := strings.CutPrefix(r.URL.Path, assetPath)
		if !isAsset {
			name = pageName(r.URL.Path)
		}
		load := all[name]
		if load == nil && !isAsset {
			load = all[indexFile]
		}
		if load == nil {
			http.Error(w, "the console has no file "+name, http.StatusNotFound)
			return
		}
		a, err := load()
		if err != nil {
			http.Error(w, "console: "+err.Error(), http.StatusInternalServerError)
			return
		}
		a.serve(w, r)
	})
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", a.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	// Ask each time: after an upgrade the files belong together.
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")
	body, tag := a.plain, a.tag
	if a.small != nil && acceptsGzip(r) {
		body, tag = a.small, strings.TrimSuffix(a.tag, `"`)+`-gz"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), tag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", a.kind)
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	// The client is gone if this fails; there is nobody to tell.
	_, _ = w.Write(body)
}

// acceptsGzip reads Accept-Encoding; gzip;q=0 is a no.
func acceptsGzip(r *http.Request) bool {
	for word := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(word), ";")
		if strings.TrimSpace(name) == "gzip" {
			q = strings.ReplaceAll(q, " ", "")
			return q != "q=0" && !strings.HasPrefix(q, "q=0.000")
		}
	}
	return false
}

// matches reads If-None-Match.
func matches(header, tag string) bool {
	for word := range strings.SplitSeq(header, ",") {
		if word = strings.TrimPrefix(strings.TrimSpace(word), "W/"); word == tag || word == "*" {
			return true
		}
	}
	return false
}

// listAssets lists the embedded files by their names below assets, each with what
// reads it, once.
func listAssets() (map[string]func() (*asset, error), error) {
	all := map[string]func() (*asset, error){}
	err := fs.WalkDir(assets, "assets", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.TrimPrefix(file, "assets/")
		all[name] = sync.OnceValues(func() (*asset, error) {
			text, err := readAsset(name)
			if err != nil {
				return nil, err
			}
			return newAsset(name, text)
		})
		return nil
	})
	if err == nil {
		err = addPages(all)
	}
	return all, err
}

func newAsset(name string, text []byte) (*asset, error) {
	a := &asset{plain: text, kind: mediaType(name), policy: policy(inlined{})}
	sum := sha256.Sum256(text)
	a.tag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	if len(text) < worthGzip {
		return a, nil
	}
	var small bytes.Buffer
	zw, err := gzip.NewWriterLevel(&small, gzip.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zw.Write(text); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	if small.Len() < len(text) {
		a.small = small.Bytes()
	}
	return a, nil
}

// readAsset reads a file of assets as it is served.
func readAsset(name string) ([]byte, error) {
	text, err := assets.ReadFile("assets/" + name)
	if err == nil && strings.HasPrefix(name, "vendor/") && strings.HasSuffix(name, ".js") {
		text = linked(text)
	}
	return text, err
}

// linked gives the libraries' imports of each other the addresses that they have
// here. An import map would do it too, but stands inline in the page, which the
// policy forbids.
func linked(text []byte) []byte {
	for _, l := range [][2]string{
		{"preact/hooks", "preact-hooks.js"},
		{"@preact/signals-core", "preact-signals-core.js"},
		{"preact", "preact.js"},
	} {
		text = bytes.ReplaceAll(text, []byte(`from"`+l[0]+`"`), []byte(`from"./`+l[1]+`"`))
	}
	return text
}

func mediaType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		if kind := mime.TypeByExtension(ext); kind != "" {
			return kind
		}
		return "text/plain; charset=utf-8"
	}
}
