package storage

import (
	"fmt"
	"iter"
	"math"

	"github.com/tarn-io/tarn/broker/record"
)

// Validate checks everything about w that can be known without the store:
// limits, duplicates, and that batches parse, ascend and reach the ends that
// are stated. It reads headers only. Every engine calls it first, so a Write is
// refused by all of them for the same reasons. The error wraps ErrInvalid and
// says which part is wrong.
func (w Write) Validate() error {
	parts := len(w.Append) + len(w.Replace) + len(w.Trim) + len(w.Set) + len(w.Check)
	if parts > MaxWriteParts {
		return invalid("%d parts, the limit is %d", parts, MaxWriteParts)
	}
	if size := w.size(); size > MaxWriteBytes {
		return invalid("%d bytes, the limit is %d", size, MaxWriteBytes)
	}
	if err := w.validateLogs(); err != nil {
		return err
	}
	return w.validateItems()
}

// Empty reports whether w asks for nothing.
func (w Write) Empty() bool {
	return len(w.Append)+len(w.Replace)+len(w.Trim)+len(w.Set)+len(w.Check) == 0
}

// Batches yields the header and the bytes of each batch in b, a concatenation
// of whole batches that Validate has passed. On other input it ends at the
// first batch that does not parse.
func Batches(b []byte) iter.Seq2[record.Header, []byte] {
	return func(yield func(record.Header, []byte) bool) {
		for len(b) > 0 {
			h, err := record.ParseHeader(b)
			if err != nil || !yield(h, b[:h.Size()]) {
				return
			}
			b = b[h.Size():]
		}
	}
}

// size adds up what a Write makes an engine hold.
func (w Write) size() int64 {
	var n int64
	for i := range w.Append {
		n += int64(len(w.Append[i].Batches))
	}
	for i := range w.Replace {
		n += int64(len(w.Replace[i].Batches))
	}
	for i := range w.Set {
		n += int64(len(w.Set[i].Value))
	}
	return n
}

func (w Write) validateLogs() error {
	seen := make(map[TP]struct{}, len(w.Append)+len(w.Replace))
	for i := range w.Append {
		a := &w.Append[i]
		if _, twice := seen[a.TP]; twice {
			return invalid("%s appears twice in Append", a.TP)
		}
		seen[a.TP] = struct{}{}
		if err := a.validate(); err != nil {
			return err
		}
	}
	replaced := make(map[TP]struct{}, len(w.Replace))
	for i := range w.Replace {
		r := &w.Replace[i]
		if _, twice := replaced[r.TP]; twice {
			return invalid("%s appears twice in Replace", r.TP)
		}
		replaced[r.TP] = struct{}{}
		if err := r.validate(); err != nil {
			return err
		}
	}
	return w.validateTrims(seen, replaced)
}

func (w Write) validateTrims(appended, replaced map[TP]struct{}) error {
	trimmed := make(map[TP]struct{}, len(w.Trim))
	for i := range w.Trim {
		t := &w.Trim[i]
		if _, twice := trimmed[t.TP]; twice {
			return invalid("%s appears twice in Trim", t.TP)
		}
		trimmed[t.TP] = struct{}{}
		_, a := appended[t.TP]
		_, r := replaced[t.TP]
		switch {
		case t.Partition < 0:
			return invalid("%s has a negative partition", t.TP)
		case t.Forget && (a || r):
			return invalid("%s is forgotten and written at once", t.TP)
		case !t.Forget && t.Start < 0:
			return invalid("%s: trim to %d", t.TP, t.Start)
		}
	}
	return nil
}

func (a *Append) validate() error {
	switch {
	case a.Partition < 0:
		return invalid("%s has a negative partition", a.TP)
	case a.Expect < 0 || a.Epoch < 0:
		return invalid("%s: expected end %d, epoch %d", a.TP, a.Expect, a.Epoch)
	}
	next := a.Expect
	for b := a.Batches; len(b) > 0; {
		h, err := parseBatch(a.TP, b)
		if err != nil {
			return err
		}
		if h.BaseOffset != next {
			return invalid("%s: batch at %d where %d was due", a.TP, h.BaseOffset, next)
		}
		next, b = h.LastOffset()+1, b[h.Size():]
	}
	if a.End != next {
		return invalid("%s: end %d is stated, batches end at %d", a.TP, a.End, next)
	}
	return nil
}

func (r *Replace) validate() error {
	switch {
	case r.Partition < 0:
		return invalid("%s has a negative partition", r.TP)
	case r.From < 0 || r.To <= r.From:
		return invalid("%s: range from %d to %d", r.TP, r.From, r.To)
	case r.Expect.Batches < 0 || r.Expect.Bytes < 0:
		return invalid("%s: expected %d batches of %d bytes", r.TP, r.Expect.Batches, r.Expect.Bytes)
	}
	next := r.From
	for b := r.Batches; len(b) > 0; {
		h, err := parseBatch(r.TP, b)
		if err != nil {
			return err
		}
		if h.BaseOffset < next || h.LastOffset() >= r.To {
			return invalid("%s: batch %d to %d does not lie between %d and %d",
				r.TP, h.BaseOffset, h.LastOffset(), next, r.To)
		}
		next, b = h.LastOffset()+1, b[h.Size():]
	}
	return nil
}

// parseBatch reads the header at the start of b and checks what every engine
// and its directory rely on: a size within the limit, and offsets that neither
// fall nor overflow.
func parseBatch(tp TP, b []byte) (record.Header, error) {
	h, err := record.ParseHeader(b)
	switch {
	case err != nil:
		return h, fmt.Errorf("%w: %s: %w", ErrInvalid, tp, err)
	case h.Size() > MaxBatchBytes:
		return h, invalid("%s: batch of %d bytes, the limit is %d", tp, h.Size(), MaxBatchBytes)
	case h.BaseOffset < 0 || h.LastOffsetDelta < 0 || h.BaseOffset > math.MaxInt64-1-int64(h.LastOffsetDelta):
		return h, invalid("%s: batch at %d with last offset delta %d", tp, h.BaseOffset, h.LastOffsetDelta)
	case h.Count < 0 || int64(h.Count) > int64(h.LastOffsetDelta)+1:
		return h, invalid("%s: batch at %d of %d records in %d offsets",
			tp, h.BaseOffset, h.Count, int64(h.LastOffsetDelta)+1)
	}
	return h, nil
}

func (w Write) validateItems() error {
	seen := make(map[string]struct{}, len(w.Set))
	for i := range w.Set {
		it := &w.Set[i]
		if err := validateKey(it.Key); err != nil {
			return err
		}
		if _, twice := seen[it.Key]; twice {
			return invalid("key %q appears twice in Set", it.Key)
		}
		seen[it.Key] = struct{}{}
		if len(it.Value) > MaxValueBytes {
			return invalid("value of %q has %d bytes, the limit is %d", it.Key, len(it.Value), MaxValueBytes)
		}
		if it.Version < Any {
			return invalid("key %q at version %d", it.Key, it.Version)
		}
	}
	for _, c := range w.Check {
		if err := validateKey(c.Key); err != nil {
			return err
		}
		if c.Version < 0 {
			return invalid("check of %q at version %d", c.Key, c.Version)
		}
	}
	return nil
}

func validateKey(key string) error {
	if len(key) == 0 || len(key) > MaxKeyBytes {
		return invalid("key of %d bytes, it must have 1 to %d", len(key), MaxKeyBytes)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
