package s3

import (
	"errors"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/tables/blob"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		address string
		want    Config
		wrong   string // part of the error
	}{
		{address: "s3://lake", want: Config{Bucket: "lake"}},
		{address: "s3://lake/a/b/", want: Config{Bucket: "lake", Prefix: "a/b"}},
		{address: "s3://lake/a?region=eu-west-1", want: Config{Bucket: "lake", Prefix: "a", Region: "eu-west-1"}},
		{address: "s3://lake?endpoint=http://127.0.0.1:7070/", want: Config{Bucket: "lake", Endpoint: "http://127.0.0.1:7070", PathStyle: true}},
		{address: "s3://lake?endpoint=https://h&path-style=false", want: Config{Bucket: "lake", Endpoint: "https://h"}},
		{address: "s3://lake?path-style=true", want: Config{Bucket: "lake", PathStyle: true}},
		{address: "s3://", wrong: "s3://BUCKET/PREFIX"},
		{address: "gs://lake", wrong: "s3://BUCKET/PREFIX"},
		{address: "s3://key:secret@lake", wrong: "credentials"},
		{address: "s3://lake?regoin=x", wrong: `"regoin"`},
		{address: "s3://lake?endpoint=127.0.0.1:7070", wrong: "endpoint"},
		{address: "s3://lake?path-style=yes", wrong: "path-style"},
	} {
		got, err := Parse(tt.address)
		switch {
		case tt.wrong == "" && (err != nil || got != tt.want):
			t.Errorf("%s: got %+v, %v, want %+v", tt.address, got, err, tt.want)
		case tt.wrong != "" && (!errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), tt.wrong)):
			t.Errorf("%s: got %v, want ErrAddress naming %s", tt.address, err, tt.wrong)
		}
	}
}

func TestAddresses(t *testing.T) {
	s := open(t, newServer(t), "pre/fix")
	for _, tt := range []struct {
		address, key string
		ok           bool
	}{
		{"s3://lake/pre/fix/a/b", "a/b", true},
		{"s3a://lake/pre/fix/a/b/", "a/b/", true},
		{"s3n://lake/pre/fix/a", "a", true},
		{"s3://lake/pre/fix2/a", "", false},
		{"s3://lakes/pre/fix/a", "", false},
		{"file:///lake/pre/fix/a", "", false},
		{"s3://lake/pre/fix/", "", false},
	} {
		if key, ok := s.Key(tt.address); key != tt.key || ok != tt.ok {
			t.Errorf("key of %s: got %q, %v", tt.address, key, ok)
		}
	}
	if got := s.URL(""); got != "s3://lake/pre/fix" {
		t.Errorf("address of the store: got %s", got)
	}
	if _, err := Open(t.Context(), Config{Bucket: "lake", Prefix: "a//b"}); !errors.Is(err, ErrAddress) || !errors.Is(err, blob.ErrKey) {
		t.Errorf("open with a broken prefix: %v", err)
	}
}

// TestPutIfAbsent walks the ways a conditional write can go wrong. What the
// caller is told must be what stands.
func TestPutIfAbsent(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script []fault
		taken  bool  // by another writer, before
		want   error // nil: ours stands
	}{
		{name: "plain"},
		{name: "taken", taken: true, want: blob.ErrExists},
		{name: "failed, not persisted", script: []fault{unavailable}},
		{name: "failed, persisted", script: []fault{lostAnswer}},
		{name: "failed, persisted, three times", script: []fault{lostAnswer, lostAnswer, lostAnswer}},
		{name: "not persisted, then taken by another", script: []fault{overtaken}, want: blob.ErrExists},
		{name: "met another writer", script: []fault{conflict}},
		{name: "met another writer, who won", script: []fault{conflict, overtaken}, want: blob.ErrExists},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t)
			s := open(t, srv, "p")
			if tt.taken {
				srv.put("p/k", "theirs", nil)
			}
			srv.script = tt.script
			err := s.PutIfAbsent(t.Context(), "k", []byte("ours"))
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			want := "ours"
			if tt.want != nil {
				want = "theirs"
			}
			if got := srv.body("p/k"); got != want {
				t.Errorf("object holds %q, want %q", got, want)
			}
			if len(srv.script) != 0 {
				t.Errorf("%d faults did not strike", len(srv.script))
			}
		})
	}
}

// TestOutcomeUnknown: a service that does not come back leaves the outcome open,
// and the error is neither of those that say what happened.
func TestOutcomeUnknown(t *testing.T) {
	srv := newServer(t)
	s := open(t, srv, "")
	srv.down = true
	var told []error
	ctx := blob.WithTrouble(t.Context(), func(err error) { told = append(told, err) })
	err := s.PutIfAbsent(ctx, "k", []byte("x"))
	if len(told) != maxTries || !strings.Contains(told[0].Error(), "answers 5") {
		t.Errorf("of %d attempts it told %v", maxTries, told)
	}
	if err == nil || errors.Is(err, blob.ErrExists) || errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	srv.close()
	told = nil
	_, err = s.Get(ctx, "k")
	if len(told) == 0 || !errors.Is(told[0], blob.ErrUnreachable) {
		t.Errorf("get from nobody told %v", told)
	}
	if !errors.Is(err, blob.ErrUnreachable) {
		t.Errorf("get from nobody: got %v, want ErrUnreachable", err)
	}
}

// TestCutOff: bodies that end early are read on, or refused, never taken short.
func TestCutOff(t *testing.T) {
	srv := newServer(t)
	s := open(t, srv, "")
	large := strings.Repeat("0123456789", (blob.WholeBytes+1000)/10)
	srv.put("large", large, nil)
	f, err := s.Open(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Size() != int64(len(large)) {
		t.Fatalf("size: got %d, want %d", f.Size(), len(large))
	}
	srv.script = []fault{cutOff, cutOff}
	p := make([]byte, 900)
	off := int64(blob.WholeBytes - 100)
	if n, err := f.ReadAt(p, off); n != len(p) || err != nil || string(p) != large[off:off+900] {
		t.Errorf("read at %d: %d bytes, %v", off, n, err)
	}
	srv.put("large", "replaced", nil)
	if _, err := f.ReadAt(p, off); err == nil {
		t.Errorf("read of a replaced object gave bytes")
	}
	srv.put("small", "0123456789", nil)
	srv.script = []fault{cutOff}
	if got, err := s.Get(t.Context(), "small"); err == nil {
		t.Errorf("a body that was cut off was taken: %q", got)
	}
}

func TestExplained(t *testing.T) {
	srv := newServer(t)
	s := open(t, srv, "")
	for _, tt := range []struct {
		status int
		code   string
		want   error
		text   string
	}{
		{404, "NoSuchBucket", ErrBucket, "lake"},
		{403, "AccessDenied", ErrDenied, "ListBucket"},
		{403, "SignatureDoesNotMatch", ErrDenied, "AWS_SECRET_ACCESS_KEY"},
		{301, "PermanentRedirect", nil, "region="},
	} {
		srv.refuse = &refusal{tt.status, tt.code}
		_, err := s.Get(t.Context(), "k")
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: got %v, want %v with %q", tt.code, err, tt.want, tt.text)
		}
		if err := s.Check(t.Context()); err == nil {
			t.Errorf("%s: check passes", tt.code)
		}
	}
	srv.refuse = nil
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	srv.unconditional = true
	if err := s.Check(t.Context()); !errors.Is(err, ErrUnconditional) {
		t.Errorf("check of a server without conditions: %v", err)
	}
}

func TestNoCredentials(t *testing.T) {
	srv := newServer(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	s, err := Open(t.Context(), srv.config(""))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, ErrNoCredentials) {
		t.Errorf("got %v, want ErrNoCredentials", err)
	}
}
