package storage

// State is what an engine knows when it judges a Write's expectations.
type State interface {
	// Log returns the bounds of tp's log and whether there is one.
	Log(tp TP) (Bounds, bool)
	// Version returns the version of the item at key, 0 if there is none.
	Version(key string) (int64, error)
}

// Conflicts compares what w expects of appends, trims, items and checks with s
// and lists every wrong expectation; it returns nil if there is none. Replace
// needs the batches of a range, so engines judge that part themselves and add
// to the result. The error is State's.
func (w Write) Conflicts(s State) (*Conflict, error) {
	var c Conflict
	for i := range w.Append {
		a := &w.Append[i]
		if b, _ := s.Log(a.TP); b.End != a.Expect || a.Epoch < b.Epoch {
			c.Logs = append(c.Logs, LogConflict{TP: a.TP,
				WantEnd: a.Expect, GotEnd: b.End, WantEpoch: a.Epoch, GotEpoch: b.Epoch})
		}
	}
	for i := range w.Trim {
		t := &w.Trim[i]
		if t.Forget {
			continue
		}
		b, _ := s.Log(t.TP)
		if end := max(b.End, w.endOf(t.TP)); t.Start > end {
			c.Logs = append(c.Logs, LogConflict{TP: t.TP,
				WantEnd: t.Start, GotEnd: end, WantEpoch: b.Epoch, GotEpoch: b.Epoch})
		}
	}
	if err := w.itemConflicts(s, &c); err != nil {
		return nil, err
	}
	if c.Empty() {
		return nil, nil
	}
	return &c, nil
}

// endOf is the end that w's Append gives tp's log, or 0.
func (w Write) endOf(tp TP) int64 {
	for i := range w.Append {
		if w.Append[i].TP == tp {
			return w.Append[i].End
		}
	}
	return 0
}

func (w Write) itemConflicts(s State, c *Conflict) error {
	for i := range w.Set {
		if w.Set[i].Version == Any {
			continue
		}
		if err := c.compare(s, w.Set[i].Key, w.Set[i].Version); err != nil {
			return err
		}
	}
	for i := range w.Check {
		if err := c.compare(s, w.Check[i].Key, w.Check[i].Version); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conflict) compare(s State, key string, want int64) error {
	got, err := s.Version(key)
	if err != nil {
		return err
	}
	if got != want {
		c.Items = append(c.Items, ItemConflict{Key: key, Want: want, Got: got})
	}
	return nil
}
