package sink

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/tables"
)

// Keys of tables.Progress.Extra that a sink writes, <partition> behind them.
const (
	// gapKey lists ranges of offsets that were deleted from the log before
	// they reached the table: "10-25,40-41", the ends exclusive.
	gapKey = "gap."
	// startKey is the offset at which a table begins that was asked to begin
	// at the log end.
	startKey = "start."
	// entryKey, in tables of dead letters and without a partition, is the id
	// of the last entry, so that no two commits leave the same progress.
	entryKey = "entry"
	// modeKey, without a partition, says what rows there are: absent for one a
	// record, "upsert <columns>" for the latest of each key.
	modeKey = "mode"
)

// addGaps writes gaps into p, which is not shared.
func addGaps(p *tables.Progress, gaps []tables.Range) {
	for _, g := range gaps {
		key := gapKey + strconv.Itoa(int(g.Partition))
		all := parseGaps(g.Partition, p.Extra[key])
		if n := len(all); n > 0 && (all[n-1].To >= g.From || n == maxGaps) {
			all[n-1].To = max(all[n-1].To, g.To)
		} else {
			all = append(all, g)
		}
		words := make([]string, len(all))
		for i, g := range all {
			words[i] = fmt.Sprintf("%d-%d", g.From, g.To)
		}
		p.Extra[key] = strings.Join(words, ",")
	}
}

// parseGaps reads a list of gaps; words that are none are left out.
func parseGaps(partition int32, text string) []tables.Range {
	var out []tables.Range
	for word := range strings.SplitSeq(text, ",") {
		from, to, ok := strings.Cut(word, "-")
		a, err1 := strconv.ParseInt(from, 10, 64)
		b, err2 := strconv.ParseInt(to, 10, 64)
		if ok && err1 == nil && err2 == nil && a < b {
			out = append(out, tables.Range{Partition: partition, From: a, To: b})
		}
	}
	return out
}

// gaps are all gaps that a progress lists, by partition.
func gaps(p tables.Progress) []tables.Range {
	out := []tables.Range{}
	for key, text := range p.Extra {
		if part, ok := strings.CutPrefix(key, gapKey); ok {
			if n, err := strconv.ParseInt(part, 10, 32); err == nil {
				out = append(out, parseGaps(int32(n), text)...)
			}
		}
	}
	slices.SortFunc(out, func(a, b tables.Range) int {
		if a.Partition != b.Partition {
			return int(a.Partition) - int(b.Partition)
		}
		return int(min(1, max(-1, a.From-b.From)))
	})
	return out
}

// started is the offset at which a partition of the table begins.
func started(p tables.Progress, partition int32) int64 {
	n, err := strconv.ParseInt(p.Extra[startKey+strconv.Itoa(int(partition))], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
