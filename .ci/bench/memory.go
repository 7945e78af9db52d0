package main

import "time"

// settleFor is how long a broker is left alone before it counts as idle.
const settleFor = 3 * time.Second

// memory measures resident memory: of a broker that nobody talks to, new and
// with data, and the most that any broker of this run took.
func (b *bench) memory() error {
	err := b.each(func(int) error {
		s, err := b.serve("idle")
		if err != nil {
			return err
		}
		if err := b.idle(nameIdle, s); err != nil {
			return err
		}
		return s.end()
	})
	if err != nil {
		return err
	}
	s, err := b.load("idle")
	if err != nil {
		return err
	}
	if err := s.fill("old", b.amount(diskRecords)); err != nil {
		return err
	}
	if err := b.idle("memory idle, after 256 MB of produce", s); err != nil {
		return err
	}
	if err := s.stop(); err != nil {
		return err
	}
	if s, err = b.serve("idle"); err != nil {
		return err
	}
	if err := b.idle("memory idle, restarted with data", s); err != nil {
		return err
	}
	b.table.add("memory under load, at most", "MB", float64(b.loaded)/1e6, 0, "")
	return s.end()
}

func (b *bench) idle(name string, s *server) error {
	select {
	case <-b.ctx.Done():
		return b.ctx.Err()
	case <-time.After(settleFor):
	}
	all, own, err := s.Resident()
	if err != nil {
		return err
	}
	b.table.add(name, "MB", float64(all)/1e6, 0, "")
	b.table.add(name+", without the binary", "MB", float64(own)/1e6, 0, "")
	return nil
}
