package blob

import "context"

type troubleKey struct{}

// WithTrouble returns a context under which a store tells each failed attempt of
// a call that it repeats, at once: the call itself returns only when the store
// has lost its patience. tell may be called concurrently, and must not block.
func WithTrouble(ctx context.Context, tell func(error)) context.Context {
	return context.WithValue(ctx, troubleKey{}, tell)
}

// Trouble tells a failed attempt to whoever asked for it by WithTrouble.
func Trouble(ctx context.Context, err error) {
	if tell, ok := ctx.Value(troubleKey{}).(func(error)); ok {
		tell(err)
	}
}
