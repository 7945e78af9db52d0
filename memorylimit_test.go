package main

import (
	"io"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"testing"
	"testing/fstest"
)

func TestMemoryLimit(t *testing.T) {
	const machine = "MemTotal:        2097152 kB\nMemFree:  1 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
		from  string
		asked int64
	}{
		"nothing says":            {nil, math.MaxInt64, "", 0},
		"the machine":             {map[string]string{"proc/meminfo": machine}, 2 << 30, "/proc/meminfo", 0},
		"a broken file":           {map[string]string{"proc/meminfo": "MemTotal: much kB\n", "proc/self/cgroup": "::\n0"}, math.MaxInt64, "", 0},
		"a container, version 2":  {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1073741824\n"}, 1 << 30, "/sys/fs/cgroup/memory.max", 0},
		"no limit, version 2":     {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 2 << 30, "/proc/meminfo", 0},
		"a unit":                  {map[string]string{"proc/self/cgroup": "0::/system.slice/tarn.service\n", "sys/fs/cgroup/system.slice/tarn.service/memory.max": "536870912\n", "sys/fs/cgroup/system.slice/memory.max": "max\n"}, 512 << 20, "/sys/fs/cgroup/system.slice/tarn.service/memory.max", 0},
		"the slice has less":      {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "536870912\n", "sys/fs/cgroup/a/memory.max": "268435456\n"}, 256 << 20, "/sys/fs/cgroup/a/memory.max", 0},
		"above the mount":         {map[string]string{"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/memory.max": "1048576\n"}, 1 << 20, "/sys/fs/cgroup/memory.max", 0},
		"no meminfo":              {map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 2 << 30, "sysinfo", 2 << 30},
		"a unit without meminfo":  {map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "1073741824\n"}, 1 << 30, "/sys/fs/cgroup/a/memory.max", 2 << 30},
		"version 1":               {map[string]string{"proc/self/cgroup": "5:cpu:/c\n4:hugetlb,memory:/c\n", "sys/fs/cgroup/memory/c/memory.limit_in_bytes": "1073741824\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 1 << 30, "/sys/fs/cgroup/memory/c/memory.limit_in_bytes", 0},
		"a container, version 1":  {map[string]string{"proc/self/cgroup": "4:memory:/docker/0123\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n"}, 1 << 30, "/sys/fs/cgroup/memory/memory.limit_in_bytes", 0},
		"more than the machine's": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1099511627776\n"}, 2 << 30, "/proc/meminfo", 0},
	} {
		root := fstest.MapFS{}
		for path, text := range c.files {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		if got, from := memoryLimit(root, func() int64 { return c.asked }); got != c.want || from != c.from {
			t.Errorf("%s: got %d by %q, want %d by %q", name, got, from, c.want, c.from)
		}
	}
}

// Who sets GOMEMLIMIT keeps what they set.
func TestLimitMemoryYields(t *testing.T) {
	before := debug.SetMemoryLimit(3 << 40)
	defer debug.SetMemoryLimit(before)
	lg := slog.New(slog.NewTextHandler(io.Discard, nil))
	t.Setenv("GOMEMLIMIT", "3TiB")
	if got := limitMemory(lg); got != 3<<40 {
		t.Errorf("with GOMEMLIMIT: %d, want %d", got, int64(3<<40))
	}
	t.Setenv("GOMEMLIMIT", "")
	got := limitMemory(lg)
	if in := debug.SetMemoryLimit(-1); got != noLimit && in != got || got == noLimit && in != 3<<40 {
		t.Errorf("without: said %d, in force %d", got, in)
	}
}

// What the system says when it is asked is what stands in its file, or more: that of a
// container may be made up for it.
func TestMachineMemory(t *testing.T) {
	text, err := os.ReadFile("/proc/meminfo")
	if got, want := machineMemory(), totalMemory(string(text)); err == nil && got < want {
		t.Errorf("got %d, want %d or more", got, want)
	}
}
