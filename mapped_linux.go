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
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	for _, r := range programRanges(smaps, exe) {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, r.start, r.end-r.start, syscall.MADV_DONTNEED)
	}
}

type addresses struct{ start, end uintptr }

// programRanges finds, in the text of smaps (proc(5)), the mappings of exe that
// nobody can write to and nobody has: those are read from the file again when
// they are touched (madvise(2)). A loader writes to parts of a relocatable
// program before it protects them, and a debugger sets its marks; such pages
// count as anonymous, and would be lost.
func programRanges(smaps []byte, exe string) (out []addresses) {
	var at addresses
	ours := false
	for lines := bufio.NewScanner(bytes.NewReader(smaps)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) == 3 && f[0] == "Anonymous:":
			if ours && f[1] == "0" {
				out = append(out, at)
			}
			ours = false
		case len(f) > 0 && !strings.HasSuffix(f[0], ":"): // range, access, offset, device, inode, path
			ours = len(f) > 5 && strings.Join(f[5:], " ") == exe && f[1][0] == 'r' && f[1][1] != 'w'
			if n, err := fmt.Sscanf(f[0], "%x-%x", &at.start, &at.end); err != nil || n != 2 {
				ours = false
			}
		}
	}
	return out
}

// machineMemory is how much memory the machine has, in bytes (sysinfo(2)); 0 if it is
// not known.
func machineMemory() int64 {
	var s syscall.Sysinfo_t
	if err := syscall.Sysinfo(&s); err != nil {
		return 0
	}
	return int64(uint64(s.Totalram) * uint64(s.Unit)) //nolint:unconvert // 32 bits on some systems
}
