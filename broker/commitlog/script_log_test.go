package commitlog

import (
	"fmt"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
)

// maxScriptBatch bounds what a script's searches decompress, bytes.
const maxScriptBatch = 1 << 20

// runLog runs the commands that are about what a log knows beside its records.
func (s *script) runLog(words []string, number func(int) int64) {
	switch words[0] {
	case "lose": // the next append fails; nothing is stored
		s.engine.NextMatching(isAppend, faulty.Refuse(errDisk))
	case "doubt": // the next append fails, and is stored all the same
		s.engine.NextMatching(isAppend, faulty.Persist(errDisk))
	case "kill": // nothing is saved on the way out
		s.engine.Always(nil, faulty.Refuse(errDisk))
		s.stop()
		s.engine.Reset()
		s.open()
	case "states":
		s.showStates()
	case "at":
		s.showAt(number(1))
	case "read": // isolation is the caller's: uncommitted reads to the end, committed to the stable offset
		s.showRead(number(1), words[2] == "committed")
	case "expire": // retention: older than, larger than; -1 for neither
		s.expire(Limits{BeforeMs: number(1), MaxBytes: number(2), Seen: number(3)})
	case "delete":
		if err := s.logs.Forget(s.t.Context(), tp0.Topic); err != nil {
			s.printf("%v", err)
		}
	default:
		s.t.Fatalf("unknown command %q", words)
	}
}

func isAppend(w storage.Write) bool { return len(w.Append) > 0 }

func (s *script) log() *Log {
	g, err := s.logs.Log(s.t.Context(), tp0)
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}

// showStates prints producers, transactions and the stable offset.
func (s *script) showStates() {
	g := s.log()
	for _, p := range g.Producers() {
		line := fmt.Sprintf("producer %d epoch %d sequence %d heard %d", p.ID, p.Epoch, p.LastSequence, p.LastMs)
		if p.TxnStart >= 0 {
			line += fmt.Sprintf(" open from %d", p.TxnStart)
		}
		s.printf("%s", line)
	}
	for _, a := range g.Aborted(0) {
		s.printf("aborted %d: %d…%d", a.ProducerID, a.First, a.Last)
	}
	start, end := g.Bounds()
	s.printf("= %d…%d, stable %d", start, end, g.LastStable())
}

func (s *script) showAt(ms int64) {
	g := s.log()
	at, ok, err := g.AtTime(s.t.Context(), ms, g.End(), maxScriptBatch)
	s.printf("at %d: %s", ms, found(at, ok, err))
	last, ok, err := g.MaxTime(s.t.Context(), g.End(), maxScriptBatch)
	s.printf("greatest: %s", found(last, ok, err))
}

func found(f Found, ok bool, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case !ok:
		return "none"
	}
	return fmt.Sprintf("offset %d stamped %d", f.Offset, f.TimestampMs)
}

// showRead prints the values that a reader from offset sees: a committed one
// passes over batches of aborted transactions and stops at the stable offset.
func (s *script) showRead(offset int64, committed bool) {
	g := s.log()
	limit, aborted := g.End(), AbortedTxns(nil)
	if committed {
		limit, aborted = g.LastStable(), g.Aborted(offset).Below(g.LastStable())
	}
	b, err := g.Read(s.t.Context(), offset, maxScriptBatch, limit)
	if err != nil {
		s.printf("%v", err)
		return
	}
	for b, err := range record.Batches(b) {
		if err != nil {
			s.t.Fatal(err)
		}
		if !b.Header.Control() && !aborted.Holds(b.Header) {
			s.printf("%v", s.records(b.Bytes))
		}
	}
}

func (s *script) expire(lim Limits) {
	to, untimed, err := s.log().Expired(s.t.Context(), lim)
	if err != nil {
		s.printf("%v", err)
		return
	}
	start, err := s.logs.Trim(s.t.Context(), tp0, to)
	s.printf("goes to %d, untimed %t: start %d %v", to, untimed, start, err)
}
