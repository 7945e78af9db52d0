package auth

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

func openTokens(t *testing.T, e storage.Engine) *Tokens {
	t.Helper()
	s, err := OpenTokens(t.Context(), e, TokenConfig{Secret: "s", MaxLifetime: 10 * time.Hour, Expiry: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func all(*Token) bool { return true }

// hours is a time of a token's in hours after its issue.
func hours(tok *Token, ms int64) float64 { return float64(ms-tok.IssuedMs) / 3_600_000 }

// TestTokens goes through a token's life.
func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, ctx := memory.New(), t.Context()
		s := openTokens(t, e)
		alice, bob, eve := User("alice"), User("bob"), User("eve")
		tok, err := s.Create(ctx, alice, eve, []Principal{bob}, 0)
		if err != nil || tok.Owner != alice || tok.Requester != eve || hours(tok, tok.ExpiryMs) != 1 || hours(tok, tok.MaxMs) != 10 {
			t.Fatalf("got %+v, %v", tok, err)
		}
		short, err := s.Create(ctx, bob, bob, nil, 30*time.Minute)
		if err != nil || hours(short, short.ExpiryMs) != 0.5 || hours(short, short.MaxMs) != 0.5 {
			t.Fatalf("a short one: %+v, %v", short, err)
		}
		if _, err := s.Create(ctx, bob, bob, make([]Principal, MaxRenewers+1), 0); !errors.Is(err, ErrTokenTooLarge) {
			t.Errorf("too many renewers: %v", err)
		}
		change := func(f func(context.Context, Principal, []byte, time.Duration) (int64, error), who Principal, mac []byte, d time.Duration, want float64, wantErr error) {
			t.Helper()
			ms, err := f(ctx, who, mac, d)
			if got := hours(tok, ms); !errors.Is(err, wantErr) || err == nil && got != want {
				t.Errorf("got %v h, %v, want %v h, %v", got, err, want, wantErr)
			}
		}
		time.Sleep(15 * time.Minute)
		change(s.Renew, alice, tok.MAC(), 0, 1.25, nil)
		change(s.Renew, bob, tok.MAC(), 2*time.Hour, 1.25, nil) // no longer than tokens do
		change(s.Renew, bob, tok.MAC(), 15*time.Minute, 0.5, nil)
		change(s.Renew, eve, tok.MAC(), 0, 0, ErrNotRenewer) // who asked for it has no part in it
		change(s.Renew, alice, []byte("x"), 0, 0, ErrNoToken)
		change(s.Expire, eve, tok.MAC(), -1, 0, ErrNotRenewer)
		change(s.Expire, alice, tok.MAC(), 20*time.Hour, 10, nil) // not beyond its end

		// A restart changes nothing; another secret makes other passwords.
		again := openTokens(t, e)
		if got := again.List(all); len(got) != 2 || !slices.ContainsFunc(got, func(x *Token) bool {
			return x.ID == tok.ID && string(x.MAC()) == string(tok.MAC()) && hours(tok, x.ExpiryMs) == 10 && x.BelongsToAny([]Principal{eve, bob})
		}) {
			t.Errorf("after a restart: %+v", got)
		}
		other, err := OpenTokens(ctx, e, TokenConfig{Secret: "another"})
		if err != nil {
			t.Fatal(err)
		}
		change(other.Renew, alice, tok.MAC(), 0, 0, ErrNoToken)

		// What has expired is nobody's at once, and is deleted by Run.
		if _, c, err := again.credential(short.ID, SHA512); err != nil || c.Iterations != MinIterations {
			t.Errorf("credential: %+v, %v", c, err)
		}
		time.Sleep(16 * time.Minute)
		if got, _, _ := again.credential(short.ID, SHA512); got != nil {
			t.Error("an expired token signs in")
		}
		change(again.Renew, bob, short.MAC(), 0, 0, ErrTokenExpired)
		run, stop := context.WithCancel(ctx)
		go again.Run(run)
		synctest.Wait()
		change(again.Renew, bob, short.MAC(), 0, 0, ErrNoToken)
		if _, err := again.Expire(ctx, alice, tok.MAC(), time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour + time.Millisecond)
		synctest.Wait()
		if n := items(t, e); n != 0 {
			t.Errorf("%d tokens are in the store after all have expired", n)
		}
		tok, err = again.Create(ctx, alice, alice, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		change(again.Expire, alice, tok.MAC(), -1, 0, nil)
		if n := items(t, e) + len(again.List(all)); n != 0 {
			t.Errorf("%d tokens after the last was ended", n)
		}
		stop()
		synctest.Wait()
	})
}

func items(t *testing.T, e storage.Engine) (n int) {
	t.Helper()
	for _, err := range e.Scan(t.Context(), keyToken) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// TestTokenFaults has the store refuse, or fail after all was done: memory is what
// the store holds either way, and the next change goes through.
func TestTokenFaults(t *testing.T) {
	broken := errors.New("broken")
	for name, f := range map[string]faulty.Fault{"refused": faulty.Refuse(broken), "done, and failed": faulty.Persist(broken)} {
		e := faulty.New(memory.New())
		s, ctx, alice := openTokens(t, e), t.Context(), User("alice")
		same := func(when string) {
			t.Helper()
			got, want := s.List(all), openTokens(t, e).List(all)
			if !slices.EqualFunc(got, want, func(a, b *Token) bool {
				return a.ID == b.ID && a.ExpiryMs == b.ExpiryMs && a.version == b.version
			}) {
				t.Errorf("%s, %s: memory has %+v, the store %+v", name, when, got, want)
			}
		}
		e.Next(f)
		if _, err := s.Create(ctx, alice, alice, nil, 0); !errors.Is(err, broken) {
			t.Errorf("%s: created: %v", name, err)
		}
		same("create")
		tok, err := s.Create(ctx, alice, alice, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		e.Next(f)
		if _, err := s.Expire(ctx, alice, tok.MAC(), time.Minute); !errors.Is(err, broken) {
			t.Errorf("%s: expires: %v", name, err)
		}
		same("expire later")
		if _, err := s.Renew(ctx, alice, tok.MAC(), 0); err != nil {
			t.Errorf("%s: the next change: %v", name, err)
		}
		e.Next(f)
		if _, err := s.Expire(ctx, alice, tok.MAC(), -1); !errors.Is(err, broken) {
			t.Errorf("%s: ended: %v", name, err)
		}
		same("end")
	}
}
