package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
)

// once lets a request with an Idempotency-Key have one effect however often it
// is sent, as the API description wants it: success and refusals are final, and
// are answered again from what was kept; after anything else the request is done
// anew. Another request under the key of an earlier one is refused with 422, as
// the IETF's draft of the header has it, and one that comes while the first is
// under way waits for it. status is that of success.
func (s *server) once(w http.ResponseWriter, r *http.Request, status int, serve handlerFunc) error {
	text := r.Header.Get("Idempotency-Key")
	if text == "" {
		return serve(s, w, r)
	}
	id, err := uuid.Parse(text)
	if err != nil || len(text) != len(id.String()) {
		return fmt.Errorf("%w: Idempotency-Key %q is no UUID", ErrInvalid, text)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	leave, err := s.keys.enter(r.Context(), id)
	if err != nil {
		return fmt.Errorf("wait for another request with this Idempotency-Key: %w", err)
	}
	defer leave()
	rc := &receipt{key: oncePrefix + id.String(), outcome: outcome{
		Hash: fingerprint(r, body), At: time.Now().UnixMilli(), Status: status,
	}}
	if done, err := s.replay(w, r, rc); done || err != nil {
		return err
	}
	if ok, err := s.keys.room(r.Context()); err != nil || !ok {
		w.Header().Set("Retry-After", "60")
		return errors.Join(err, &httpError{http.StatusServiceUnavailable, "ServiceUnavailableException",
			fmt.Sprintf("more than %d requests with an Idempotency-Key in %s", maxOnce, onceLifetime)})
	}
	served := serve(s, w, r.WithContext(withReceipt(r.Context(), rc)))
	if rc.kept {
		s.keys.add(r.Context(), rc)
		return served
	}
	return s.keep(w, r, rc, served)
}

// keep writes an outcome that no write of the request's own took along: of
// refusals, and of requests that had nothing to write.
func (s *server) keep(w http.ResponseWriter, r *http.Request, rc *receipt, served error) error {
	if o := &rc.outcome; served != nil {
		a := answerTo(served)
		if !final(a.code) {
			return served
		}
		o.Status, o.Kind, o.Message, o.Table, o.Body = a.code, a.kind, a.msg, nil, nil
	} else if o.Status != http.StatusNoContent && o.Table == nil && o.Body == nil {
		return nil // too large to keep, and nothing was done
	}
	switch err := s.keys.items.Put(r.Context(), rc.item()); {
	case err == nil:
		s.keys.add(r.Context(), rc)
	case errors.Is(err, tables.ErrItemConflict) && served != nil:
		// Another process has answered the same request.
		if done, err := s.replay(w, r, rc); done || err != nil {
			return err
		}
	}
	return served
}

// final reports whether a refusal stays one however often it is asked for.
func final(code int) bool {
	switch code {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusNotAcceptable, http.StatusConflict, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// replay answers a request that was answered before; done says that it was.
func (s *server) replay(w http.ResponseWriter, r *http.Request, rc *receipt) (done bool, err error) {
	o, version, err := s.keys.find(r.Context(), rc.key)
	rc.version = version
	if err != nil || o == nil {
		return false, err
	}
	switch {
	case o.Hash != rc.outcome.Hash:
		return true, &httpError{http.StatusUnprocessableEntity, "UnprocessableEntityException",
			"Idempotency-Key was used for another request: " + strings.TrimPrefix(rc.key, oncePrefix)}
	case o.Kind != "":
		return true, &httpError{o.Status, o.Kind, o.Message}
	case o.Status == http.StatusNoContent:
		return true, s.done(w)
	case o.Table != nil:
		t, err := s.cat.again(r.Context(), o.Table)
		if err != nil {
			return true, err
		}
		return true, s.replyTable(w, r, t)
	}
	s.reply(w, o.Status, o.Body)
	return true, nil
}

// fingerprint is of all that makes a request what it is. JSON that says the same
// in another order is the same.
func fingerprint(r *http.Request, body []byte) string {
	var v any
	if number(body, &v) == nil && v != nil {
		if same, err := json.Marshal(v); err == nil {
			body = same
		}
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %s?%s\n", r.Method, strings.TrimPrefix(r.URL.EscapedPath(), "/iceberg"), r.URL.Query().Encode())
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}
