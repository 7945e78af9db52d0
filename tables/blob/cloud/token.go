package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tarn-io/tarn/tables/blob"
)

// tokenSpare is how long a token must still hold to be used: longer than a
// request takes.
const tokenSpare = 2 * time.Minute

// machineLimit bounds the wait for what gives tokens to machines: it is near, or
// not there, and then nothing answers at its address.
const machineLimit = 3 * time.Second

// maxTokenBytes bounds the answer of a login.
const maxTokenBytes = 64 << 10

type token struct {
	text string
	ends time.Time
}

// tokens keeps the token in use. It may be used concurrently; of several that find
// it old one fetches, the others wait.
type tokens struct {
	fetch func(context.Context) (token, error)

	mu  sync.Mutex
	now token // guarded by mu
}

// sign adds the token; a nil *tokens adds nothing.
func (t *tokens) sign(ctx context.Context, r *http.Request) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Until(t.now.ends) < tokenSpare {
		fresh, err := t.fetch(ctx)
		if err != nil {
			return err
		}
		t.now = fresh
	}
	r.Header.Set("Authorization", "Bearer "+t.now.text)
	return nil
}

// fetchToken asks a login for a token; header are names and values by turns.
func fetchToken(ctx context.Context, c *http.Client, method, address string, form url.Values, header ...string) (token, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return token{}, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		if u := errors.Unwrap(err); u != nil {
			err = u // without the address, whose query may be a secret
		}
		return token{}, fmt.Errorf("%w: %w", blob.ErrUnreachable, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenBytes))
	if err != nil {
		return token{}, err
	}
	var t struct {
		Token   string      `json:"access_token"`
		Seconds json.Number `json:"expires_in"` // a text in one of them
		Code    string      `json:"error"`
		Said    string      `json:"error_description"`
	}
	err = json.Unmarshal(body, &t)
	seconds, _ := t.Seconds.Int64()
	if resp.StatusCode != http.StatusOK || err != nil || t.Token == "" || seconds <= 0 {
		return token{}, fmt.Errorf("asked for a token, it answers %s %s %.300s", resp.Status, t.Code, t.Said)
	}
	return token{t.Token, time.Now().Add(time.Duration(seconds) * time.Second)}, nil
}
