package cloud

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-io/tarn/tables/blob"
)

const (
	gcsEndpoint = "https://storage.googleapis.com"
	// writerKey is the metadata under which an object says who wrote it, so that a
	// writer whose answer was lost knows its own object. Azure wants a word.
	writerKey = "tarn_writer"
)

// gcs is Google Cloud Storage by its JSON interface.
type gcs struct {
	cfg    Config
	base   string // of the bucket's objects
	upload string
	token  *tokens // nil: a server that wants none
}

func newGCS(c Config, plain *http.Client) *gcs {
	host := cmp.Or(c.Endpoint, gcsEndpoint)
	path := "/storage/v1/b/" + url.PathEscape(c.Bucket) + "/o"
	g := &gcs{cfg: c, base: host + path, upload: host + "/upload" + path}
	if c.Endpoint == "" || googleConfigured() {
		g.token = &tokens{fetch: google{plain}.token}
	}
	return g
}

func (g *gcs) object(key string) string { return g.base + "/" + url.PathEscape(key) }

func (g *gcs) put(key string, data []byte, onlyNew bool, writer string) request {
	about, _ := json.Marshal(map[string]any{ // texts only
		"name": key, "contentType": "application/octet-stream", "metadata": map[string]string{writerKey: writer},
	})
	boundary := rand.Text() // 128 bits of chance: in no data
	var b bytes.Buffer
	b.Grow(len(data) + len(about) + 512)
	fmt.Fprintf(&b, "--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n%s\r\n--%s\r\nContent-Type: application/octet-stream\r\n\r\n", boundary, about, boundary)
	b.Write(data)
	fmt.Fprintf(&b, "\r\n--%s--\r\n", boundary)
	query := "?uploadType=multipart"
	if onlyNew {
		query += "&ifGenerationMatch=0"
	}
	return request{http.MethodPost, g.upload + query, map[string]string{"Content-Type": "multipart/related; boundary=" + boundary}, b.Bytes()}
}

func (g *gcs) get(key string, from, length int64, tag string) request {
	r := request{method: http.MethodGet, url: g.object(key) + "?alt=media"}
	if tag != "" {
		r.url += "&ifGenerationMatch=" + url.QueryEscape(tag)
	}
	if length > 0 {
		r.header = map[string]string{"Range": rangeOf(from, length)}
	}
	return r
}

func rangeOf(from, length int64) string { return fmt.Sprintf("bytes=%d-%d", from, from+length-1) }

func (g *gcs) tag(h http.Header) string { return h.Get("X-Goog-Generation") }

func (g *gcs) head(key string) request {
	return request{method: http.MethodGet, url: g.object(key) + "?fields=metadata"}
}

func (g *gcs) writer(a *answer) string {
	var o struct {
		Metadata map[string]string `json:"metadata"`
	}
	if json.Unmarshal(a.body, &o) != nil {
		return ""
	}
	return o.Metadata[writerKey]
}

func (g *gcs) copied(from, to string) request {
	return request{method: http.MethodPost, url: g.object(from) + "/rewriteTo/b/" + url.PathEscape(g.cfg.Bucket) + "/o/" + url.PathEscape(to)}
}

// more goes on with a copy that the service has not finished in one request.
func (g *gcs) more(a *answer, from, to string) (request, bool) {
	var o struct {
		Done  bool   `json:"done"`
		Token string `json:"rewriteToken"`
	}
	if json.Unmarshal(a.body, &o) != nil || o.Done || o.Token == "" {
		return request{}, false
	}
	r := g.copied(from, to)
	r.url += "?rewriteToken=" + url.QueryEscape(o.Token)
	return r, true
}

func (g *gcs) list(prefix, token string) request {
	q := url.Values{"prefix": {prefix}, "fields": {"items(name,size,updated),nextPageToken"}}
	if token != "" {
		q.Set("pageToken", token)
	}
	return request{method: http.MethodGet, url: g.base + "?" + q.Encode()}
}

func (g *gcs) listed(a *answer) (page []blob.Info, next string, err error) {
	var list struct {
		Items []struct {
			Name    string    `json:"name"`
			Size    string    `json:"size"`
			Updated time.Time `json:"updated"`
		} `json:"items"`
		Next string `json:"nextPageToken"`
	}
	if err := json.Unmarshal(a.body, &list); err != nil {
		return nil, "", fmt.Errorf("read the answer: %w", err)
	}
	for _, o := range list.Items {
		size, err := strconv.ParseInt(o.Size, 10, 64)
		if err != nil {
			return nil, "", fmt.Errorf("size of %s: %w", o.Name, err)
		}
		page = append(page, blob.Info{Key: o.Name, Size: size, ModifiedMs: o.Updated.UnixMilli()})
	}
	return page, list.Next, nil
}

func (g *gcs) delete(key string) request {
	return request{method: http.MethodDelete, url: g.object(key)}
}

func (g *gcs) sign(ctx context.Context, r *http.Request) error { return g.token.sign(ctx, r) }

func (g *gcs) taken(a *answer) bool  { return a.status == http.StatusPreconditionFailed }
func (g *gcs) absent(a *answer) bool { return a.status == http.StatusNotFound }

func (g *gcs) bucket(a *answer) bool {
	return a.status == http.StatusNotFound && bytes.Contains(a.body, []byte("specified bucket does not exist"))
}

func (g *gcs) url(key string) string { return "gs://" + g.cfg.Bucket + "/" + key }

func (g *gcs) key(address string) (string, bool) {
	return strings.CutPrefix(address, "gs://"+g.cfg.Bucket+"/")
}

func (g *gcs) where() string {
	return cmp.Or(g.cfg.Endpoint, "Google Cloud Storage")
}
