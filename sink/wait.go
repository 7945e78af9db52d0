package sink

import (
	"context"
	"errors"
	"fmt"
)

// ErrOffset is refused: a partition that the topic does not have, or an offset
// below 0.
var ErrOffset = errors.New("no such offset")

// ErrHalted is refused: the tables do not go on until a person has looked.
var ErrHalted = errors.New("the tables do not go on by themselves")

// Waited says how far a topic's tables were when a wait ended.
type Waited struct {
	Topic string `json:"topic"`
	// Visible is the next offset of each partition: every record below it is in
	// the tables of all formats, or among their dead letters.
	Visible map[int32]int64 `json:"visible"`
}

// Wait returns when every format's table holds the records at the given offsets
// and all before them; nil stands for all that is in the log now, open
// transactions too. A record that becomes no row (of an aborted transaction,
// deleted) counts as soon as the tables are past it. Nothing is committed
// earlier because somebody waits: Flush does that.
//
// Errors: ErrNoTable, ErrOffset, ErrHalted, ErrStopped, or ctx's; after ctx's,
// and ErrHalted, Waited says how far the tables were.
func (m *Manager) Wait(ctx context.Context, topic string, at map[int32]int64) (Waited, error) {
	var target offsets
	for {
		s, err := m.find(ctx, topic)
		if err != nil {
			return Waited{}, err
		}
		if target == nil {
			if target, err = s.target(ctx, at); err != nil {
				return Waited{}, fmt.Errorf("topic %q: %w", topic, err)
			}
		}
		w, err := s.await(ctx, target)
		if !errors.Is(err, ErrStopped) {
			return w, err
		}
		// Perhaps it is started again with another configuration.
		if err := m.gone(ctx, s); err != nil {
			return w, err
		}
	}
}

// target is what a wait for records means: the offsets behind them.
func (s *sink) target(ctx context.Context, at map[int32]int64) (offsets, error) {
	out := offsets{}
	for p, off := range at {
		if p < 0 || p >= s.topic.Partitions || off < 0 {
			return nil, fmt.Errorf("%w: partition %d offset %d; there are %d partitions", ErrOffset, p, off, s.topic.Partitions)
		}
		out[p] = off + 1
	}
	for p := range s.topic.Partitions {
		if at != nil {
			break
		}
		log, err := s.log(ctx, p)
		if err != nil {
			return nil, err
		}
		out[p] = log.End()
	}
	return out, nil
}

// await waits for target to be visible. It is woken by the sink's steps.
func (s *sink) await(ctx context.Context, target offsets) (Waited, error) {
	for {
		visible, state, moved := s.gauge.look()
		w := Waited{Topic: s.topic.Name, Visible: visible}
		if visible != nil && visible.until(target) == 0 {
			return w, nil
		}
		switch state {
		case Running, Stalled, WaitingForSchema:
		default:
			all, _, _ := s.status.get()
			return w, fmt.Errorf("%w: state %s: %s", ErrHalted, state, all.message)
		}
		select {
		case <-moved:
		case <-s.done:
			return w, ErrStopped
		case <-ctx.Done():
			return w, ctx.Err()
		}
	}
}
