package rest

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/tarn-io/tarn/broker/storage/memory"
)

// TestClient lets a client that is not ours walk through the API.
func TestClient(t *testing.T) {
	h, _ := serve(t, memory.New())
	server := httptest.NewServer(h)
	defer server.Close()
	c, err := sr.NewClient(sr.URLs(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	const subject = "a/b value" // escaped on the way
	v1, err := c.CreateSchema(ctx, subject, sr.Schema{Schema: `{"type":"record","name":"R","fields":[]}`})
	if err != nil || v1.ID != 1 || v1.Version != 1 {
		t.Fatalf("create: %+v, %v", v1, err)
	}
	if v1, err = c.LookupSchema(ctx, subject, v1.Schema); err != nil || v1.ID != 1 {
		t.Errorf("look up: %+v, %v", v1, err)
	}
	if s, err := c.SchemaByID(ctx, 1); err != nil || s.Type != sr.TypeAvro {
		t.Errorf("by id: %+v, %v", s, err)
	}
	if v, err := c.SchemaByVersion(ctx, subject, -1); err != nil || v.ID != 1 {
		t.Errorf("latest: %+v, %v", v, err)
	}
	ok, err := c.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), subject, -1, sr.Schema{Schema: `"int"`})
	if err != nil || ok.Is || len(ok.Messages) == 0 {
		t.Errorf("compatibility: %+v, %v", ok, err)
	}
	for _, r := range c.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFull}, subject) {
		if r.Err != nil || r.Level != sr.CompatFull {
			t.Errorf("set the level: %+v", r)
		}
	}
	if status, answer, _ := do(h, "PUT", "/config/ours", `{"compatibility":"TABLE"}`); status != 200 {
		t.Errorf("set a level of ours: %d %s", status, answer)
	}
	for _, r := range c.Compatibility(ctx, "ours") {
		if r.Err != nil || r.Level != sr.CompatNone {
			t.Errorf("read a level of ours: %+v", r)
		}
	}
	for _, r := range c.SetMode(ctx, sr.ModeReadOnly, subject) {
		if r.Err != nil {
			t.Errorf("set the mode: %+v", r)
		}
	}
	_, err = c.CreateSchema(ctx, subject, sr.Schema{Schema: `"int"`})
	if bad, ok := errors.AsType[*sr.ResponseError](err); !ok || bad.ErrorCode != sr.ErrOperationNotPermitted.Code {
		t.Errorf("create in a read-only subject: %v", err)
	}
	for _, r := range c.ResetMode(ctx, subject) {
		if r.Err != nil {
			t.Errorf("reset the mode: %+v", r)
		}
	}
	if subjects, err := c.Subjects(ctx); err != nil || len(subjects) != 1 || subjects[0] != subject {
		t.Errorf("subjects: %q, %v", subjects, err)
	}
	if all, err := c.AllSchemas(ctx); err != nil || len(all) != 1 {
		t.Errorf("all schemas: %+v, %v", all, err)
	}
	if gone, err := c.DeleteSubject(ctx, subject, sr.SoftDelete); err != nil || len(gone) != 1 {
		t.Errorf("delete: %v, %v", gone, err)
	}
	if _, err = c.DeleteSubject(ctx, subject, sr.HardDelete); err != nil {
		t.Errorf("delete for good: %v", err)
	}
	_, err = c.SchemaByID(ctx, 1)
	if bad, ok := errors.AsType[*sr.ResponseError](err); !ok || bad.ErrorCode != sr.ErrSchemaNotFound.Code {
		t.Errorf("a schema that is gone: %v", err)
	}
}
