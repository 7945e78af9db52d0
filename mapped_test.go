//go:build linux

package main

import (
	"os"
	"slices"
	"testing"
)

func TestProgramRanges(t *testing.T) {
	const smaps = `00400000-02b3c000 r-xp 00000000 fe:00 131 /usr/bin/tarn
Size:              40176 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
02b3c000-052a1000 r--p 0273c000 fe:00 131 /usr/bin/tarn
Anonymous:             0 kB
VmFlags: rd mr mw me
052a1000-05300000 r--p 04ea1000 fe:00 131 /usr/bin/tarn
Anonymous:             4 kB
05300000-05411000 rw-p 04f00000 fe:00 131 /usr/bin/tarn
Anonymous:             0 kB
05411000-05490000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f1000000000-7f1000001000 r--p 00000000 fe:00 132 /etc/usr/bin/tarn.db
Anonymous:             0 kB
7f1000001000-7f1000002000 r--p 00000000 fe:00 133 /x /usr/bin/tarn
Anonymous:             0 kB
7ffd00000000-7ffd00021000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
`
	got := programRanges([]byte(smaps), "/usr/bin/tarn")
	want := []addresses{{0x400000, 0x2b3c000}, {0x2b3c000, 0x52a1000}}
	if !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// TestDropMapped: the program goes on after its pages were dropped.
func TestDropMapped(t *testing.T) {
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if len(programRanges(smaps, exe)) == 0 {
		t.Fatalf("no mapping of %s is found", exe)
	}
	for range 3 {
		dropMapped()
		if again, err := os.Readlink("/proc/self/exe"); err != nil || again != exe {
			t.Fatalf("after dropping: %q, %v", again, err)
		}
	}
}
