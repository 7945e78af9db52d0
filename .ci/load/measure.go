package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// memoryGroup is a control group with a limit of memory.
type memoryGroup struct {
	dir            string
	usage, failcnt string // files of it
}

// newMemoryGroup makes one, of whichever version there is.
func newMemoryGroup(bytes int64) (*memoryGroup, error) {
	name := "tarn-load-" + strconv.Itoa(os.Getpid())
	for _, v := range []struct{ mount, limit, usage, fails string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.failcnt"},
		{"/sys/fs/cgroup", "memory.max", "memory.current", "memory.events"},
	} {
		g := &memoryGroup{dir: filepath.Join(v.mount, name), usage: v.usage, failcnt: v.fails}
		if _, err := os.Stat(v.mount); err != nil {
			continue
		}
		if err := os.Mkdir(g.dir, 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(g.dir, v.limit), []byte(strconv.FormatInt(bytes, 10)), 0o644); err != nil {
			g.remove()
			return nil, err
		}
		return g, nil
	}
	return nil, fs.ErrNotExist
}

// remove removes it, once nobody is in it.
func (g *memoryGroup) remove() { _ = os.Remove(g.dir) }

// number reads a file with one number, or the number behind a word.
func (g *memoryGroup) number(file, word string) int64 {
	if g == nil {
		return 0
	}
	text, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 2 && f[0] == word || len(f) == 1 {
			n, _ := strconv.ParseInt(f[len(f)-1], 10, 64)
			return n
		}
	}
	return 0
}

// usageNow is what was used until a moment.
type usageNow struct {
	at   time.Time
	cpu  time.Duration
	disk int64
}

func (l *load) measure() (usageNow, error) {
	u := usageNow{at: time.Now()}
	var err error
	if u.cpu, err = l.broker.CPU(); err != nil {
		return u, err
	}
	err = filepath.WalkDir(l.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // files of tables come and go
		}
		if info, err := d.Info(); err == nil {
			u.disk += info.Size()
		}
		return nil
	})
	return u, err
}

// highest is the most that was seen of each.
type highest struct{ rss, own, group, cache, fails, tables, lag int64 }

// watch looks every two seconds until ctx ends.
func (l *load) watch(ctx context.Context, h *highest) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		all, own, err := l.broker.Resident()
		if err != nil || !l.broker.Alive() {
			return fmt.Errorf("the broker is gone: %w", err)
		}
		h.rss, h.own = max(h.rss, all), max(h.own, own)
		if l.group != nil {
			h.group = max(h.group, l.group.number(l.group.usage, ""))
			h.cache = max(h.cache, l.group.number("memory.stat", "cache"), l.group.number("memory.stat", "file"))
			h.fails = max(h.fails, l.group.number(l.group.failcnt, "max"))
		}
		if i%5 != 0 {
			continue
		}
		h.tables = max(h.tables, l.metric(ctx, "tarn_table_pending_records")+l.metric(ctx, "tarn_table_uncommitted_records"))
		lag := l.metric(ctx, "tarn_group_lag_records")
		h.lag = max(h.lag, lag)
		fmt.Printf("    %s: RSS %d MB, own %d MB, group %d MB, lag %d, sent %d\n", time.Now().Format(time.TimeOnly), all>>20, own>>20, h.group>>20, lag, l.sent.count())
	}
}

// metric sums a metric over its labels.
func (l *load) metric(ctx context.Context, name string) (sum int64) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.api.Base+"/metrics", nil)
	if err != nil {
		return 0
	}
	resp, err := l.api.Client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, name+"{") {
			f := strings.Fields(line)
			v, _ := strconv.ParseFloat(f[len(f)-1], 64)
			sum += int64(v)
		}
	}
	return sum
}
