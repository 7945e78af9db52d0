//go:build linux

package main

import (
	"os"
	"slices"
	"testing"
)

func TestProgramRanges(t *testing.T) {
	const maps = `00400000-02b3c000 r-xp 00000000 fe:00 131 /usr/bin/tarn
02b3c000-052a1000 r--p 0273c000 fe:00 131 /usr/bin/tarn
052a1000-05411000 rw-p 04ea1000 fe:00 131 /usr/bin/tarn
05411000-05490000 rw-p 00000000 00:00 0
7f1000000000-7f1000001000 r--p 00000000 fe:00 132 /etc/usr/bin/tarn.db
7f1000001000-7f1000002000 r--p 00000000 fe:00 133 /x /usr/bin/tarn
7ffd00000000-7ffd00021000 r-xp 00000000 00:00 0 [vdso]
`
	got := programRanges([]byte(maps), "/usr/bin/tarn")
	want := []addresses{{0x400000, 0x2b3c000}, {0x2b3c000, 0x52a1000}}
	if !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// TestDropMapped: the program goes on after its pages were dropped.
func TestDropMapped(t *testing.T) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if len(programRanges(maps, exe)) == 0 {
		t.Fatalf("no mapping of %s is found", exe)
	}
	for range 3 {
		dropMapped()
		if again, err := os.Readlink("/proc/self/exe"); err != nil || again != exe {
			t.Fatalf("after dropping: %q, %v", again, err)
		}
	}
}
