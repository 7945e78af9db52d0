package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestServing(t *testing.T) {
	h := Handler()
	for _, c := range []struct {
		path, kind string
		status     int
	}{
		{"/console", "text/html; charset=utf-8", 200},
		{"/console/", "text/html; charset=utf-8", 200},
		{"/console/topics/my.topic.js/records", "text/html; charset=utf-8", 200},
		{"/console/assets/app.js", "text/javascript; charset=utf-8", 200},
		{"/console/assets/base.css", "text/css; charset=utf-8", 200},
		{"/console/assets/icon.svg", "image/svg+xml", 200},
		{"/console/assets/none.js", "", 404},
		{"/console/assets/../console.go", "", 404},
	} {
		r := get(t, h, c.path)
		if r.StatusCode != c.status || c.kind != "" && r.Header.Get("Content-Type") != c.kind {
			t.Errorf("%s: %d %s", c.path, r.StatusCode, r.Header.Get("Content-Type"))
		}
		if c.status == 200 && (!strings.HasPrefix(r.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'") || r.Header.Get("X-Content-Type-Options") != "nosniff") {
			t.Errorf("%s goes without its policy: %v", c.path, r.Header)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/console", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestCompressionAndTags(t *testing.T) {
	h := Handler()
	plain := get(t, h, "/console/assets/app.js")
	want := body(t, plain)
	small := get(t, h, "/console/assets/app.js", "Accept-Encoding", "br, gzip;q=0.8")
	if small.Header.Get("Content-Encoding") != "gzip" || small.Header.Get("ETag") == plain.Header.Get("ETag") {
		t.Fatalf("gzip: %v", small.Header)
	}
	zr, err := gzip.NewReader(small.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(zr); err != nil || !bytes.Equal(got, want) {
		t.Errorf("unpacked %d bytes, want %d: %v", len(got), len(want), err)
	}
	if r := get(t, h, "/console/assets/app.js", "Accept-Encoding", "gzip; q=0"); r.Header.Get("Content-Encoding") != "" {
		t.Error("gzip to who does not want it")
	}
	for _, enc := range []string{"", "gzip"} {
		first := get(t, h, "/console/assets/app.js", "Accept-Encoding", enc)
		again := get(t, h, "/console/assets/app.js", "Accept-Encoding", enc, "If-None-Match", `"x", W/`+first.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified || len(body(t, again)) != 0 {
			t.Errorf("the same again (%q): %d", enc, again.StatusCode)
		}
	}
}

// TestFiles holds the assets to what the policy and the page need: every import and
// every address leads to a file, nothing stands inline, nothing is of another host, and
// each library has its licence beside it.
func TestFiles(t *testing.T) {
	list, err := listAssets()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*asset{}
	for name, load := range list {
		if all[name], err = load(); err != nil {
			t.Fatal(err)
		}
	}
	imports := regexp.MustCompile(`(?:\bfrom\s*|\bimport\()['"]([\w./@-]+)['"]`)
	addresses := regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	for name, a := range all {
		dir := name[:strings.LastIndex(name, "/")+1]
		text := string(a.plain)
		if strings.HasSuffix(name, ".js") {
			for _, m := range imports.FindAllStringSubmatch(text, -1) {
				if to := resolve(dir, m[1]); all[to] == nil {
					t.Errorf("%s imports %s, which is not there (%s)", name, m[1], to)
				}
			}
			if !strings.HasPrefix(name, "vendor/") && strings.Count(text, "\n") > 700 {
				t.Errorf("%s has more than 700 lines", name)
			}
		}
		if strings.HasPrefix(name, indexFile) {
			for _, m := range addresses.FindAllStringSubmatch(text, -1) {
				to, ok := strings.CutPrefix(m[1], assetPath)
				if page := pageName(m[1]); ok && all[to] == nil || !ok && all[page] == nil {
					t.Errorf("the page wants %s", m[1])
				}
			}
			holdInline(t, a)
		}
		if strings.HasSuffix(name, ".js") && regexp.MustCompile(`\beval\(|new Function\(`).MatchString(text) {
			t.Errorf("%s makes code of text", name)
		}
	}
	for _, library := range []string{"preact", "preact-signals", "preact-signals-core", "htm", "uplot"} {
		if all["vendor/"+library+".js"] == nil {
			t.Errorf("no library %s", library)
		}
		if a := all["vendor/"+library+".LICENSE.txt"]; a == nil || len(a.plain) < 500 {
			t.Errorf("%s has no licence beside it", library)
		}
	}
	if _, err := fs.Stat(assets, "assets/index.html"); err != nil {
		t.Error(err)
	}
}

// holdInline holds a page to its policy: what stands inline is named there by its hash,
// and is one of the files; nothing else is inline, and nothing has to come before the
// first paint.
func holdInline(t *testing.T, a *asset) {
	t.Helper()
	text := string(a.plain)
	elements := regexp.MustCompile(`(?s)<(script|style)>(.*?)</(?:script|style)>`)
	files := []string{"begin.js", "base.css", "parts.css"}
	for _, m := range elements.FindAllStringSubmatch(text, -1) {
		sum := sha256.Sum256([]byte(m[2]))
		hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		if !regexp.MustCompile(m[1] + `-src 'self'[^;]* ` + regexp.QuoteMeta(hash)).MatchString(a.policy) {
			t.Errorf("the policy does not name a %s that stands inline: %s", m[1], a.policy)
		}
		files = slices.DeleteFunc(files, func(name string) bool {
			file, err := readAsset(name)
			return err == nil && string(file) == m[2]
		})
	}
	if len(files) > 0 {
		t.Errorf("%q do not stand in the page, which is painted without them or later", files)
	}
	if n := strings.Count(a.policy, "'sha256-"); n != 3 || strings.Contains(a.policy, "unsafe") {
		t.Errorf("the policy allows more than what is there: %s", a.policy)
	}
	rest := elements.ReplaceAllString(text, "")
	if regexp.MustCompile(`<script>|<style|\son\w+=|style=|rel="stylesheet"|<script src`).MatchString(rest) {
		t.Error("something else stands inline in the page, or keeps it from being painted")
	}
}

// resolve is what an import in a folder means.
func resolve(dir, to string) string {
	switch {
	case strings.HasPrefix(to, "../"):
		return strings.TrimPrefix(to, "../")
	case strings.HasPrefix(to, "./"):
		return dir + strings.TrimPrefix(to, "./")
	}
	return to
}
