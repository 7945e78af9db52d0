package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// authorizer signs requests. Safe for concurrent use.
type authorizer interface {
	// sign adds to a request what proves who sends it.
	sign(ctx context.Context, req *http.Request, body []byte) error
	// forget drops what was not taken; false says that there is nothing to get
	// anew, so that trying again is of no use.
	forget() bool
}

func newAuthorizer(c Config, base string) (authorizer, error) {
	switch {
	case c.SigV4 != nil:
		return NewSigner(*c.SigV4), nil
	case c.Credential != "":
		o := &oauth{at: c.OAuthURI, scope: c.Scope, client: c.Client, now: time.Now}
		var ok bool
		if o.id, o.secret, ok = strings.Cut(c.Credential, ":"); !ok {
			return nil, fmt.Errorf("%w: a credential is CLIENT_ID:CLIENT_SECRET", ErrConfig)
		}
		if o.at == "" {
			o.at = base + "/v1/oauth/tokens"
		}
		if o.scope == "" {
			o.scope = "catalog"
		}
		return o, nil
	}
	return bearer(c.Token), nil
}

// bearer is a token that was given; empty for none.
type bearer string

func (b bearer) sign(_ context.Context, req *http.Request, _ []byte) error {
	if b != "" {
		req.Header.Set("Authorization", "Bearer "+string(b))
	}
	return nil
}

func (b bearer) forget() bool { return false }

const (
	// tokenMargin is how long before its end a token is replaced.
	tokenMargin = time.Minute
	// unsaidLife is how long a token is used whose answer did not say.
	unsaidLife = 15 * time.Minute
	maxToken   = 64 << 10 // bytes of an answer with a token
)

// oauth exchanges a client's id and secret for tokens (RFC 6749 §4.4).
type oauth struct {
	at, id, secret, scope string
	client                *http.Client
	now                   func() time.Time

	mu    sync.Mutex // held while a token is fetched: one is enough
	token string     // guarded by mu; empty for none
	until time.Time  // guarded by mu
}

func (o *oauth) sign(ctx context.Context, req *http.Request, _ []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.token == "" || o.now().After(o.until) {
		if err := o.fetch(ctx); err != nil {
			return fmt.Errorf("get a token from %s: %w", o.at, err)
		}
	}
	req.Header.Set("Authorization", "Bearer "+o.token)
	return nil
}

func (o *oauth) forget() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.token = ""
	return true
}

// unsigned is an answer without a token.
type unsigned struct {
	status int
	text   string
}

func (u *unsigned) Error() string { return fmt.Sprintf("answer %d: %s", u.status, u.text) }

// Fix says what a person can do about it; empty for answers that pass by
// themselves.
func (u *unsigned) Fix() string {
	if u.status == http.StatusTooManyRequests || u.status >= http.StatusInternalServerError {
		return ""
	}
	return "no token is given for the credential: mend TARN_CATALOG_CREDENTIAL (catalog.credential), catalog.oauth2-server-uri or catalog.scope, and start the broker again; records wait in the log"
}

// fetch is called with mu held.
func (o *oauth) fetch(ctx context.Context) error {
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {o.id}, "client_secret": {o.secret}, "scope": {o.scope},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.at, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := o.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxToken))
	if err != nil {
		return err
	}
	var body struct {
		Token   string `json:"access_token"`
		Seconds int64  `json:"expires_in"`
		Error   string `json:"error"`
		Why     string `json:"error_description"`
	}
	err = json.Unmarshal(data, &body)
	if resp.StatusCode != http.StatusOK || err != nil || body.Token == "" {
		text := strings.TrimSpace(body.Error + " " + body.Why)
		if text == "" {
			text = string(data[:min(len(data), maxMessage)])
		}
		return &unsigned{resp.StatusCode, text}
	}
	life := time.Duration(body.Seconds) * time.Second
	if life <= 0 {
		life = unsaidLife
	}
	o.token, o.until = body.Token, o.now().Add(max(life-tokenMargin, life/2))
	return nil
}
