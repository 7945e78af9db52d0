package commitlog

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// look settles a commit that failed: it may be stored or not. A commit is all
// or nothing, so one part of it tells. If the store cannot be read, or nothing
// in the write can tell, the entries fail as unknown. Unless it is stored the
// logs are read anew before they are used again. The error is storage.ErrBroken.
func (s *sequencer) look(ctx context.Context, r *round, cause error) error {
	stored, err := s.stored(ctx, r)
	if err == nil && stored {
		s.logs.lg.Warn("commit reported an error but is stored", "error", cause)
		r.publish(s.logs)
		return nil
	}
	for _, d := range r.order {
		d.log.distrust()
	}
	if err != nil {
		s.logs.lg.Error("commit outcome is unknown", "error", cause, "look", err)
		r.finish(fmt.Errorf("%w: outcome unknown: %w", ErrStorage, cause))
		if errors.Is(err, storage.ErrBroken) {
			return err
		}
		return nil
	}
	s.warn("commit failed", cause)
	r.finish(fmt.Errorf("%w: %w", ErrStorage, cause))
	return nil
}

// errSilent says that no part of a write can tell whether it is stored.
var errSilent = errors.New("nothing in the write tells")

// stored asks the engine whether the round's write is there, and if so reads
// the versions that its items got.
func (s *sequencer) stored(ctx context.Context, r *round) (bool, error) {
	for _, tell := range []func(context.Context, *round) (bool, error){s.tellByAppend, s.tellByTrim, s.tellBySet} {
		stored, err := tell(ctx, r)
		if errors.Is(err, errSilent) {
			continue
		}
		if err != nil || !stored {
			return false, err
		}
		return true, r.readVersions(ctx, s.engine)
	}
	return false, errSilent
}

// tellByAppend compares the headers at the place of an append with those that
// were to go there; they hold the checksum. Another owner's batches may lie
// there instead.
func (s *sequencer) tellByAppend(ctx context.Context, r *round) (bool, error) {
	for i := range r.write.Append {
		a := &r.write.Append[i]
		if len(a.Batches) == 0 {
			continue
		}
		next, stop := iter.Pull2(s.engine.Index(ctx, a.TP, a.Expect))
		defer stop()
		for want, bad := range record.Batches(a.Batches) {
			got, err, ok := next()
			switch {
			case bad != nil:
				return false, bad
			case !ok, errors.Is(err, storage.ErrNoLog):
				return false, nil
			case err != nil:
				return false, err
			case got != want.Header:
				return false, nil
			}
		}
		return true, nil
	}
	return false, errSilent
}

// tellByTrim looks at a log's start. It was lower before: other trims are not
// in the write.
func (s *sequencer) tellByTrim(ctx context.Context, r *round) (bool, error) {
	if len(r.write.Trim) == 0 {
		return false, errSilent
	}
	t := r.write.Trim[0] // all of a write or none of it
	b, err := s.engine.Bounds(ctx, t.TP)
	if errors.Is(err, storage.ErrNoLog) {
		return false, nil
	}
	return err == nil && b.Start >= t.Start, err
}

// tellBySet looks at an item whose version was stated. Versions are never used
// twice, so the stated one means that nothing happened.
func (s *sequencer) tellBySet(ctx context.Context, r *round) (bool, error) {
	for i := range r.write.Set {
		it, stated := &r.write.Set[i], r.stated[i]
		if stated == storage.Any || it.Delete && stated == 0 {
			continue
		}
		got, err := s.engine.Get(ctx, it.Key)
		switch {
		case err != nil:
			return false, err
		case got.Version == stated:
			return false, nil
		case it.Delete:
			return got.Version == 0, nil
		}
		return got.Version > 0 && string(got.Value) == string(it.Value), nil
	}
	return false, errSilent
}

// readVersions reads the versions that a commit which reported an error gave.
func (r *round) readVersions(ctx context.Context, e storage.Engine) error {
	for i := range r.write.Set {
		it := &r.write.Set[i]
		if it.Delete {
			it.Version = 0
			continue
		}
		got, err := e.Get(ctx, it.Key)
		if err != nil {
			return err
		}
		it.Version = got.Version
	}
	return nil
}
