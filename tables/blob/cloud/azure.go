package cloud

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tarn-io/tarn/tables/blob"
)

// azureVersion is the version of the service's interface: the first in which one
// write takes 5000 MiB.
const azureVersion = "2019-12-12"

// azure is Azure Blob Storage by its REST interface.
type azure struct {
	cfg   Config
	base  string // of the container
	creds azureSigner
}

func newAzure(c Config, plain *http.Client) *azure {
	host := cmp.Or(c.Endpoint, "https://"+c.Account+".blob.core.windows.net")
	return &azure{cfg: c, base: host + "/" + c.Bucket, creds: azureCredentials(c.Account, os.Getenv, plain)}
}

func (z *azure) object(key string) string {
	return z.base + "/" + strings.ReplaceAll(url.PathEscape(key), "%2F", "/")
}

func (z *azure) put(key string, data []byte, onlyNew bool, writer string) request {
	r := request{http.MethodPut, z.object(key), map[string]string{
		"x-ms-blob-type": "BlockBlob", "x-ms-meta-" + writerKey: writer, "Content-Type": "application/octet-stream",
	}, data}
	if onlyNew {
		r.header["If-None-Match"] = "*"
	}
	return r
}

func (z *azure) get(key string, from, length int64, tag string) request {
	r := request{method: http.MethodGet, url: z.object(key), header: map[string]string{}}
	if tag != "" {
		r.header["If-Match"] = tag
	}
	if length > 0 {
		r.header["Range"] = rangeOf(from, length)
	}
	return r
}

func (z *azure) tag(h http.Header) string { return h.Get("ETag") }

func (z *azure) head(key string) request {
	return request{method: http.MethodHead, url: z.object(key)}
}

func (z *azure) writer(a *answer) string { return a.header.Get("x-ms-meta-" + writerKey) }

func (z *azure) copied(from, to string) request {
	return request{method: http.MethodPut, url: z.object(to), header: map[string]string{"x-ms-copy-source": z.creds.source(z.object(from))}}
}

// more asks for a copy that the service makes in its own time.
func (z *azure) more(a *answer, _, to string) (request, bool) {
	return z.head(to), a.header.Get("x-ms-copy-status") == "pending"
}

func (z *azure) list(prefix, token string) request {
	q := url.Values{"restype": {"container"}, "comp": {"list"}, "prefix": {prefix}}
	if token != "" {
		q.Set("marker", token)
	}
	return request{method: http.MethodGet, url: z.base + "?" + q.Encode()}
}

func (z *azure) listed(a *answer) (page []blob.Info, next string, err error) {
	var list struct {
		Blobs struct {
			Blob []struct {
				Name       string
				Properties struct {
					Modified string `xml:"Last-Modified"`
					Size     int64  `xml:"Content-Length"`
					Kind     string `xml:"ResourceType"`
				}
			}
		}
		NextMarker string
	}
	if err := xml.Unmarshal(bytes.TrimPrefix(a.body, []byte("\ufeff")), &list); err != nil {
		return nil, "", fmt.Errorf("read the answer: %w", err)
	}
	for _, o := range list.Blobs.Blob {
		if o.Properties.Kind == "directory" {
			continue // accounts with a hierarchical namespace list these, too
		}
		at, err := time.Parse(http.TimeFormat, o.Properties.Modified)
		if err != nil {
			return nil, "", fmt.Errorf("time of %s: %w", o.Name, err)
		}
		page = append(page, blob.Info{Key: o.Name, Size: o.Properties.Size, ModifiedMs: at.UnixMilli()})
	}
	return page, list.NextMarker, nil
}

func (z *azure) delete(key string) request {
	return request{method: http.MethodDelete, url: z.object(key)}
}

func (z *azure) sign(ctx context.Context, r *http.Request) error {
	r.Header.Set("x-ms-date", time.Now().UTC().Format(http.TimeFormat))
	r.Header.Set("x-ms-version", azureVersion)
	return z.creds.sign(ctx, r)
}

// taken: a blob that is there is a conflict, and one that came while this one was
// written a condition that does not hold.
func (z *azure) taken(a *answer) bool {
	return azureCode(a) == "BlobAlreadyExists" || a.status == http.StatusPreconditionFailed
}

func (z *azure) absent(a *answer) bool { return a.status == http.StatusNotFound }

func (z *azure) bucket(a *answer) bool { return azureCode(a) == "ContainerNotFound" }

func azureCode(a *answer) string { return a.header.Get("x-ms-error-code") }

func (z *azure) url(key string) string {
	return "abfss://" + z.cfg.Bucket + "@" + z.cfg.Account + azureHost + "/" + key
}

// key knows the addresses that Hadoop's and others' clients write, too.
func (z *azure) key(address string) (string, bool) {
	for _, scheme := range []string{"abfss", "abfs"} {
		if key, ok := strings.CutPrefix(address, scheme+strings.TrimPrefix(z.url(""), "abfss")); ok {
			return key, true
		}
	}
	for _, scheme := range []string{"wasbs", "wasb"} {
		if key, ok := strings.CutPrefix(address, scheme+"://"+z.cfg.Bucket+"@"+z.cfg.Account+".blob.core.windows.net/"); ok {
			return key, true
		}
	}
	return "", false
}

func (z *azure) where() string {
	return cmp.Or(z.cfg.Endpoint, "Azure's account "+z.cfg.Account)
}
