package main

import (
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// heapPercent is how much of the memory that the process may use Go's runtime is
	// told to stay below. The rest is for what it does not count: SQLite's pages, and
	// pages of files, above all those that are written and not on the disk yet.
	heapPercent = 80
	// noLimit is what Go's runtime takes for no limit.
	noLimit = math.MaxInt64
)

// limitMemory tells Go's runtime how much memory there is, so that the collector works
// harder before the system ends the process: the heap may grow to the double of what
// lives, whether or not there is room. Who sets GOMEMLIMIT has said it already. It
// returns the limit in force in bytes, math.MaxInt64 if there is none.
func limitMemory(lg *slog.Logger) int64 {
	if os.Getenv("GOMEMLIMIT") != "" {
		return debug.SetMemoryLimit(-1)
	}
	bytes, from := memoryLimit(os.DirFS("/"), machineMemory)
	if bytes == noLimit {
		return noLimit
	}
	limit := bytes / 100 * heapPercent
	debug.SetMemoryLimit(limit)
	lg.Debug("memory is limited", "bytes", bytes, "by", from, "heap_bytes", limit)
	return limit
}

// memoryLimit is how much memory this process may use, in bytes, and which file says
// so: that of the machine (proc(5), meminfo), or less if a control group that it is in
// has a limit (cgroups(7); memory.max, or memory.limit_in_bytes of version 1). A unit
// that sees of /proc its own process only (ProcSubset=pid) is told by asked.
func memoryLimit(root fs.FS, asked func() int64) (bytes int64, from string) {
	bytes = noLimit
	lower := func(n int64, file string) {
		if n > 0 && n < bytes {
			bytes, from = n, "/"+file
		}
	}
	const machine = "proc/meminfo"
	if text, err := fs.ReadFile(root, machine); err == nil {
		lower(totalMemory(string(text)), machine)
	} else if n := asked(); n > 0 {
		bytes, from = n, "sysinfo"
	}
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return bytes, from
	}
	for line := range strings.Lines(string(groups)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3) // number, controllers, path
		if len(part) != 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		if part[1] != "" {
			if !strings.Contains(","+part[1]+",", ",memory,") {
				continue
			}
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		// A container may see its group as the mount's root, and the path of the
		// system outside: what is not there limits nothing.
		for at := path.Clean("/" + part[2]); ; at = path.Dir(at) {
			name := path.Join(mount, at, file)
			if text, err := fs.ReadFile(root, name); err == nil {
				n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is none
				lower(n, name)
			}
			if at == "/" {
				break
			}
		}
	}
	return bytes, from
}

// totalMemory reads MemTotal out of meminfo, in bytes; 0 if it is not there.
func totalMemory(meminfo string) int64 {
	for line := range strings.Lines(meminfo) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			if kB, err := strconv.ParseInt(f[1], 10, 64); err == nil && kB < noLimit>>10 {
				return kB << 10
			}
		}
	}
	return 0
}
