package txn

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/group"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestScripts runs testdata/*.txt against the machine. A line is
//
//	event argument=value … => code id/epoch, state id/epoch [marker]
//
// The left side of the comma is the answer, the right side what is stored.
// "fail" before an event loses its write: the state stays as it was. "crash"
// leaves the transaction prepared, as if only that had been stored.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			m := newTxn()
			lines := bufio.NewScanner(f)
			for n := 1; lines.Scan(); n++ {
				line := strings.TrimSpace(lines.Text())
				if line == "reset" {
					m = newTxn()
				}
				if line == "" || line[0] == '#' || line == "reset" {
					continue
				}
				event, want, ok := strings.Cut(line, " => ")
				if !ok {
					t.Fatalf("line %d has no =>", n)
				}
				var got string
				if m, got = play(t, m, strings.TrimSpace(event)); got != want {
					t.Errorf("%s:%d: %s\n got  %s\n want %s", name, n, event, got, want)
				}
			}
		})
	}
}

type args map[string]int64

func play(t *testing.T, m *txn, line string) (*txn, string) {
	t.Helper()
	words := strings.Fields(line)
	mode := ""
	if words[0] == "fail" || words[0] == "crash" {
		mode, words = words[0], words[1:]
	}
	a := args{"id": m.producerID, "epoch": int64(m.epoch), "fresh": none, "timeout": 1000, "offset": 1}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		a[k] = n
	}
	if words[0] == "seed" { // an epoch it would take long to reach
		m = m.at(0)
		m.epoch = int16(a["epoch"])
		return m, fmt.Sprintf("%s %d/%d", m.state, m.producerID, m.epoch)
	}
	p := m.apply(words[0], a)
	if p.needID {
		return m, "needs an id"
	}
	next := m
	switch {
	case mode == "crash" && p.ending != nil:
		next = p.ending
	case mode == "" && p.next != nil:
		next = p.next
	}
	marker := ""
	if e := p.ending; e != nil {
		marker = fmt.Sprintf(" %s epoch %d in %d partitions %d groups", e.state, e.epoch, len(e.partitions), len(e.groups))
	}
	return next, fmt.Sprintf("%s %d/%d, %s %d/%d%s", p.code, p.producerID, p.epoch, next.state, next.producerID, next.epoch, marker)
}

func (m *txn) apply(event string, a args) plan {
	epoch := int16(a["epoch"])
	switch event {
	case "new": // InitProducerId without what the client had
		return m.init(initEvent{id: none, epoch: none, timeoutMs: a["timeout"], fresh: a["fresh"]}, a["at"])
	case "init":
		return m.init(initEvent{id: a["id"], epoch: epoch, timeoutMs: a["timeout"], fresh: a["fresh"]}, a["at"])
	case "add":
		return m.add(a["id"], epoch, []storage.TP{{Partition: int32(a["p"])}}, "", a["at"])
	case "group":
		return m.add(a["id"], epoch, nil, "g", a["at"])
	case "offset1", "offset2":
		o := []group.TxnOffset{{Offset: a["offset"]}}
		return m.commitOffsets(a["id"], epoch, "g", o, event == "offset2", a["at"])
	case "commit1", "abort1", "commit2", "abort2":
		return m.end(endEvent{
			id: a["id"], epoch: epoch, commit: strings.HasPrefix(event, "commit"), bump: event[len(event)-1] == '2', fresh: a["fresh"],
		}, a["at"])
	case "tick":
		return m.tick(a["at"], 100_000)
	}
	return refuse(wire.UnknownServerError)
}
