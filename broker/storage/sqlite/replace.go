package sqlite

import (
	"fmt"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// replacement is a Replace worked out against the index: which runs it cuts,
// and what of them stays.
type replacement struct {
	part  *storage.Replace
	first int   // index of the first run that the range touches
	cut   []run // the runs it touches
	left  []run // what stays of them below the range, at most one run
	right []run // and above it
}

// planReplaces works out every Replace and adds those whose range holds
// something else to the conflict.
func (s *stage) planReplaces(parts []storage.Replace, c *storage.Conflict) ([]*replacement, *storage.Conflict, error) {
	var plans []*replacement
	for i := range parts {
		plan, err := s.e.planReplace(&parts[i])
		if err != nil {
			return nil, nil, err
		}
		if plan != nil {
			plans = append(plans, plan)
			continue
		}
		if c == nil {
			c = &storage.Conflict{}
		}
		b, _ := s.Log(parts[i].TP)
		c.Logs = append(c.Logs, storage.LogConflict{TP: parts[i].TP, Replaced: true,
			WantEnd: b.End, GotEnd: b.End, WantEpoch: b.Epoch, GotEpoch: b.Epoch})
	}
	return plans, c, nil
}

// planReplace returns nil if the range is not what r's caller read. Runs that
// lie wholly in the range are counted from the index; of others, at most the
// first and the last one, the directory is read.
func (e *Engine) planReplace(r *storage.Replace) (*replacement, error) {
	l := e.lookup(r.TP)
	if l == nil {
		return nil, nil
	}
	v := l.view.Load()
	if r.To > v.bounds.End {
		return nil, nil
	}
	runs := v.from(r.From)
	p := &replacement{part: r, first: len(v.runs) - len(runs)}
	var got storage.Range
	for _, run := range runs {
		if run.base >= r.To {
			break
		}
		p.cut = append(p.cut, run)
		if run.base >= max(r.From, v.bounds.Start) && run.last() < r.To {
			got.Batches += int(run.batches)
			got.Bytes += int64(run.bytes)
			continue
		}
		held, whole, err := e.cutRun(p, v.bounds.Start, run)
		if err != nil {
			return nil, err
		}
		if !whole {
			return nil, nil
		}
		got.Batches += held.Batches
		got.Bytes += held.Bytes
	}
	if got != r.Expect {
		return nil, nil
	}
	return p, nil
}

// cutRun divides a run's batches into those below the range, in it and above
// it. It reports what lies in the range and whether no batch lies across.
func (e *Engine) cutRun(p *replacement, start int64, r run) (storage.Range, bool, error) {
	var held storage.Range
	var left, right pieces
	whole := true
	err := e.committerEntries(r, func(pos uint32, h record.Header) bool {
		switch {
		case h.LastOffset() < start: // trimmed
		case h.LastOffset() < p.part.From:
			left.add(r.chunk, pos, h)
		case h.BaseOffset >= p.part.To:
			right.add(r.chunk, pos, h)
		case h.BaseOffset < p.part.From || h.LastOffset() >= p.part.To:
			whole = false
		default:
			held.Batches++
			held.Bytes += int64(h.Size())
		}
		return whole
	})
	p.left = append(p.left, left.runs...)
	p.right = append(p.right, right.runs...)
	return held, whole, err
}

// pieces builds runs from single batches of one chunk that come in order.
type pieces struct {
	runs   []run
	parted bool // the next batch begins a run
}

// part keeps the next batch out of the last run.
func (p *pieces) part() { p.parted = true }

// add lengthens the last run if the batch lies right behind it.
func (p *pieces) add(chunk int64, pos uint32, h record.Header) {
	if n := len(p.runs); n > 0 && !p.parted && p.runs[n-1].pos+p.runs[n-1].bytes == pos {
		r := &p.runs[n-1]
		r.span = uint32(h.LastOffset() - r.base)
		r.bytes += uint32(h.Size())
		r.batches++
		return
	}
	p.parted = false
	p.runs = append(p.runs, run{base: h.BaseOffset, chunk: chunk, span: uint32(h.LastOffsetDelta),
		pos: pos, bytes: uint32(h.Size()), batches: 1})
}

// apply is the view's runs with the cut ones replaced.
func (p *replacement) apply(runs, added []run) []run {
	out := make([]run, 0, len(runs)+len(added)+2)
	out = append(out, runs[:p.first]...)
	out = append(out, p.left...)
	out = append(out, added...)
	out = append(out, p.right...)
	return append(out, runs[p.first+len(p.cut):]...)
}

// saveCuts writes down what died, so that the next Open leaves it out: the
// directories of the old chunks stay as they are.
func (e *Engine) saveCuts(log int64, p *replacement) error {
	for _, r := range p.cut {
		low, high := max(r.base, p.part.From), min(r.last()+1, p.part.To)
		if err := e.w.exec(e.w.insertCut, r.chunk, log, low, high); err != nil {
			return fmt.Errorf("save what chunk %d lost: %w", r.chunk, err)
		}
	}
	return nil
}
