package sink

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
)

// abortedWord stands before the id of a rebuild that was given up, in a progress.
const abortedWord = "aborted "

// AbortRebuild gives up the rebuilds of a topic's tables that are under way: what
// was written for them is removed, and the log is not held for them any more. The
// tables stay as they are. A rebuild whose rows are in the table already is
// finished instead, and said to be done. Formats without a rebuild are not in the
// answer. Errors: ErrNoTable, ErrStopped, or what went wrong: then it may be asked
// for again.
func (m *Manager) AbortRebuild(ctx context.Context, topic string) (map[string]RebuildInfo, error) {
	s, err := m.find(ctx, topic)
	if err != nil {
		return nil, err
	}
	out := map[string]RebuildInfo{}
	for _, format := range s.topic.Formats {
		err := m.settled(ctx, s, func(ctx context.Context) error {
			info, err := s.abortRebuild(ctx, format)
			if info.ID != "" {
				out[format] = info
			}
			return err
		})
		if err != nil {
			return out, fmt.Errorf("abort rebuild of %s table of topic %q: %w", format, topic, err)
		}
	}
	return out, nil
}

// abortRebuild gives up one rebuild; without one, the answer has no id.
func (s *sink) abortRebuild(ctx context.Context, format string) (RebuildInfo, error) {
	m := s.quiet(format)
	if m == nil {
		return RebuildInfo{}, errBusy
	}
	r := s.rebuilds[format]
	if r == nil {
		return RebuildInfo{}, nil
	}
	info := r.info(m.at.Offsets)
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	exchanged, err := s.fenceRebuild(ctx, m, r)
	if err != nil {
		return info, err
	}
	if exchanged {
		info.Done = true
		return info, s.finishRebuild(ctx, m)
	}
	all, items, err := s.rebuilt(ctx, format)
	if err != nil {
		return info, err
	}
	if err := s.forgetRebuild(ctx, m, items); err != nil {
		return info, err
	}
	var paths []string // a crash before they are removed leaves them to the sweep
	for _, p := range all {
		paths = append(paths, p.paths()...)
	}
	if len(paths) > 0 {
		s.remove(ctx, paths)
	}
	info.Aborted = true
	return info, nil
}

// fenceRebuild moves the table on by a commit without rows, so that an exchange of
// rows whose outcome was never told can come no more, and reports whether it has
// come before.
func (s *sink) fenceRebuild(ctx context.Context, m *member, r *rebuilding) (exchanged bool, err error) {
	word := abortedWord + r.ID
	if m.at.Extra[rebuildKey] == word {
		return false, nil
	}
	next := s.advance(m.at, nil)
	next.Extra[rebuildKey] = word
	m.known = false
	err = m.table.Commit(ctx, tables.Commit{ID: uuid.NewString(), Expect: m.at, Progress: next})
	if err == nil {
		return false, nil
	}
	p, perr := m.table.Progress(ctx)
	switch {
	case perr == nil && p.Extra[rebuildKey] == r.ID:
		return true, nil
	case perr == nil && p.Extra[rebuildKey] == word:
		return false, nil
	}
	return false, fmt.Errorf("fence: %w", err)
}
