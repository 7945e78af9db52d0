package process

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 256 << 20

// API is the HTTP side of a broker.
type API struct {
	Base   string // URL, without slash at the end
	Client *http.Client
}

// NewAPI gives a client for the broker at base whose requests end by timeout.
func NewAPI(base string, timeout time.Duration) *API {
	return &API{Base: base, Client: &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
}

// Call sends in as JSON, if there is any, and decodes the answer into out.
// Answers other than 2xx are errors with the body's text.
func (a *API) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.Base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer of %s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s answered %s: %s", method, path, resp.Status, bytes.TrimSpace(b))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("answer of %s %s: %w", method, path, err)
	}
	return nil
}

// Register registers an Avro schema and returns its id.
func (a *API) Register(ctx context.Context, subject, text string) (int, error) {
	return a.RegisterAs(ctx, subject, "AVRO", text)
}

// RegisterAs registers a schema of a language, AVRO, PROTOBUF or JSON, and returns its
// id.
func (a *API) RegisterAs(ctx context.Context, subject, language, text string) (int, error) {
	var out struct {
		ID int `json:"id"`
	}
	err := a.Call(ctx, http.MethodPost, "/subjects/"+url.PathEscape(subject)+"/versions", map[string]string{"schemaType": language, "schema": text}, &out)
	if err != nil {
		return 0, fmt.Errorf("register schema of %s: %w", subject, err)
	}
	return out.ID, nil
}

// Flush commits everything that the topic holds to its tables.
func (a *API) Flush(ctx context.Context, topic string) error {
	return a.Call(ctx, http.MethodPost, "/api/tables/"+topic+"/flush", nil, nil)
}

// Report is what a broker says of its own tables.
type Report struct {
	Verdict string `json:"verdict"`
	Formats []struct {
		Format      string            `json:"format"`
		Verdict     string            `json:"verdict"`
		Message     string            `json:"message"`
		Records     int64             `json:"records"`
		Rows        int64             `json:"rows"`
		DeadLetters int64             `json:"dead_letters"`
		Gaps        []json.RawMessage `json:"gaps"`
		Duplicates  []json.RawMessage `json:"duplicates"`
	} `json:"formats"`
}

// Verify has the broker compare the topic's tables with its log.
func (a *API) Verify(ctx context.Context, topic string) (Report, error) {
	var r Report
	err := a.Call(ctx, http.MethodPost, "/api/tables/"+topic+"/verify", nil, &r)
	return r, err
}

// Status is the state of a topic's tables in figures.
type Status struct {
	State   string `json:"state"`
	Message string `json:"message"`
	Formats []struct {
		Format    string `json:"format"`
		Files     int64  `json:"files"`
		Rows      int64  `json:"rows"`
		Bytes     int64  `json:"bytes"`
		Version   string `json:"version"`
		Snapshots int64  `json:"snapshots"`
	} `json:"formats"`
}

// Tables tells the state of a topic's tables.
func (a *API) Tables(ctx context.Context, topic string) (Status, error) {
	var s Status
	err := a.Call(ctx, http.MethodGet, "/api/tables/"+topic, nil, &s)
	return s, err
}
