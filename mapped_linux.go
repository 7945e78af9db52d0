package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// dropMapped takes the pages of the program's own file out of the process: code
// and tables that only the start, or the last burst, has touched. They stay in
// the system's cache while there is room, and what is used again is mapped again
// without being read; but under pressure the system can have them at once, which
// it is slow to take from a process. Best effort: on an error nothing is lost.
func dropMapped() {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	for _, r := range programRanges(maps, exe) {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, r.start, r.end-r.start, syscall.MADV_DONTNEED)
	}
}

type addresses struct{ start, end uintptr }

// programRanges finds the mappings of exe that nobody has written to or can:
// those are read from the file again when they are touched (proc(5), madvise(2)).
func programRanges(maps []byte, exe string) (out []addresses) {
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		f := strings.Fields(lines.Text()) // range, access, offset, device, inode, path
		if len(f) < 6 || strings.Join(f[5:], " ") != exe || f[1][0] != 'r' || f[1][1] == 'w' {
			continue
		}
		var r addresses
		if n, err := fmt.Sscanf(f[0], "%x-%x", &r.start, &r.end); err == nil && n == 2 {
			out = append(out, r)
		}
	}
	return out
}
