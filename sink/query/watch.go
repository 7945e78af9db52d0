package query

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync"
	"time"
)

const (
	// maxStatementBytes bounds what the values of a statement hold together, about.
	// SQLite keeps one for each expression, and looks whether it shall stop in loops
	// only: a long list of hex(randomblob(…)) would take all memory in one step.
	maxStatementBytes = 128 << 20
	// memoryEvery is how often SQLite's memory is looked at while a query runs: in
	// that time it makes some ten megabytes.
	memoryEvery = 50 * time.Millisecond
	// lookSpill is every how many looks the temporary files are looked at, too: a
	// disk takes well below maxSpill in 250 ms.
	lookSpill = 5
	// minMemory and maxMemory bound what SQLite may take while queries run beyond
	// what it had before, and memoryShare is the part of Go's heap that it is in
	// between: the heap is told to leave a fifth of all memory (GOMEMLIMIT).
	minMemory, maxMemory, memoryShare = 64 << 20, 256 << 20, 8
)

// valueBytes is how many bytes one value may have: the more expressions there are,
// the less. Brackets, commas and operators count them, never too few.
func (s *statement) valueBytes() int {
	n := 1
	for _, t := range s.tokens {
		if t.kind == other && (t.text == "(" || t.text == "," || t.text == "|" || t.text == ">") {
			n++
		}
	}
	return min(maxValueBytes, maxStatementBytes/n)
}

// watch ends the session when sorting and grouping fill the disk, or SQLite takes
// too much memory. It bounds neither itself: memory is counted only if that is set
// for the whole process, the store's connections too. Where the system does not tell
// as Linux does, only time bounds them. The returned function ends the watch.
func (s *session) watch() (stop func()) {
	if _, err := os.ReadDir(openFiles); err != nil {
		return func() {}
	}
	before, most := besideGo(), memoryBound(debug.SetMemoryLimit(-1))
	end := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(memoryEvery)
		defer tick.Stop()
		for look := 1; ; look++ {
			select {
			case <-end:
				return
			case <-s.ctx.Done():
				return
			case <-tick.C:
			}
			if n := besideGo() - before; n > most {
				s.cancel(fmt.Errorf("%w: the statement took %d MB of memory, more than %d MB: fewer subqueries and expressions with large values at a time", ErrLimit, n>>20, most>>20))
			}
			if look%lookSpill != 0 {
				continue
			}
			if n := spilled(openFiles); n > maxSpill {
				s.cancel(fmt.Errorf("%w: sorting and grouping took %d MB of temporary files, more than %d MB", ErrLimit, n>>20, int64(maxSpill)>>20))
			}
		}
	})
	return func() {
		close(end)
		ended.Wait()
	}
}

// memoryBound is how much memory queries may take beside a heap of such a limit.
func memoryBound(heap int64) int64 {
	if heap == math.MaxInt64 {
		return maxMemory
	}
	return max(minMemory, min(maxMemory, heap/memoryShare))
}

// besideGo is how many bytes of the process are neither files nor Go's: SQLite's. It
// may be less than there is, where Go has memory that it has not touched, and is
// never more; 0 where the system does not tell.
func besideGo() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	all := anonymous(status)
	of := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(of)
	for _, m := range of {
		if m.Value.Kind() != metrics.KindUint64 {
			return 0
		}
	}
	return max(0, all-int64(of[0].Value.Uint64()-of[1].Value.Uint64()))
}

// anonymous reads RssAnon out of a process's status (proc(5)), in bytes; 0 if it is
// not there.
func anonymous(status []byte) int64 {
	_, rest, _ := bytes.Cut(status, []byte("\nRssAnon:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	f := bytes.Fields(line)
	if len(f) != 2 || string(f[1]) != "kB" {
		return 0
	}
	n, _ := strconv.ParseInt(string(f[0]), 10, 64)
	return n << 10
}
