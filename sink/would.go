package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tarn-io/tarn/tables"
)

// WouldFlush is what Flush would commit now: Rows are the offsets of the log that the
// tables do not have yet. Errors are Status's, and why the sink does not go on.
func (m *Manager) WouldFlush(ctx context.Context, topic string) (Flushed, error) {
	st, err := m.Status(ctx, topic)
	if err == nil && st.State != Running {
		err = fmt.Errorf("flush topic %q: %s", topic, cmp.Or(st.Message, string(st.State)))
	}
	return Flushed{Topic: topic, Rows: st.Behind}, err
}

// WouldRedrive counts the dead letters that Redrive would decode now; how many of
// them fit is known when they are decoded.
func (m *Manager) WouldRedrive(ctx context.Context, topic string) (map[string]Redriven, error) {
	s, err := m.find(ctx, topic)
	if err != nil {
		return nil, err
	}
	if len(s.topic.Upsert) > 0 {
		return nil, fmt.Errorf("redrive tables of topic %q: %w", topic, ErrLatest)
	}
	out := map[string]Redriven{}
	for _, format := range s.topic.Formats {
		dead, err := s.maintained(ctx, format, s.topic.Table+deadSuffix, false)
		if err != nil {
			return nil, err
		}
		var r Redriven
		if dead != nil {
			live, err := dead.Live(ctx)
			if err != nil {
				return nil, fmt.Errorf("dead letters of the %s table of topic %q: %w", format, topic, err)
			}
			for _, f := range live {
				r.Letters += f.Rows
			}
		}
		out[format] = r
	}
	return out, nil
}

// WouldRebuild is how far a rebuild would begin, or go on: Behind offsets of the log
// would be read again, from At on. Errors are those that Rebuild begins with.
func (m *Manager) WouldRebuild(ctx context.Context, topic string, fromLogStart bool) (map[string]RebuildInfo, error) {
	s, err := m.find(ctx, topic)
	if err != nil {
		return nil, err
	}
	out := map[string]RebuildInfo{}
	for _, format := range s.topic.Formats {
		err := s.ask(ctx, func(ctx context.Context) (err error) {
			out[format], err = s.wouldRebuild(ctx, format, fromLogStart)
			return err
		})
		if errors.Is(err, errBusy) {
			err = fmt.Errorf("%w: ask again, or see tarn table status %s", err, topic)
		}
		if err != nil {
			return nil, fmt.Errorf("rebuild %s table of topic %q: %w", format, topic, err)
		}
	}
	return out, nil
}

// wouldRebuild is rebuildSome's first step, without a trace of it.
func (s *sink) wouldRebuild(ctx context.Context, format string, fromLogStart bool) (RebuildInfo, error) {
	i := slices.IndexFunc(s.members, func(m *member) bool { return m.name == format })
	if i < 0 || !s.loaded || !s.members[i].known {
		return RebuildInfo{}, errBusy
	}
	m := s.members[i]
	if _, ok := m.table.(tables.Replacer); !ok || m.at.TopicID == "" {
		return RebuildInfo{}, ErrNoRebuild
	}
	by, err := s.topic.rowsBy()
	if err != nil {
		return RebuildInfo{}, err
	}
	if r := s.rebuilds[format]; r != nil && r.By == by {
		return r.info(m.at.Offsets), nil
	}
	r := &rebuilding{rebuildHead: rebuildHead{From: offsets{}}}
	for part := range m.at.Offsets {
		if r.From[part], err = s.rebuildFrom(ctx, m, part, fromLogStart); err != nil {
			return RebuildInfo{}, err
		}
	}
	r.last.To = r.From
	return r.info(m.at.Offsets), nil
}
