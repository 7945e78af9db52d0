package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// disk is a small disk, or what comes nearest: where mounting is not allowed,
// a limit on the size of each file of the broker.
type disk struct {
	dir, what string
	wrap      []string // put before the broker's command line
	mounted   bool
}

func newDisk(dir string) (*disk, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(diskBytes))
	if err == nil {
		return &disk{dir: dir, mounted: true, what: fmt.Sprintf("tmpfs of %d MB with %d MB of ballast", diskBytes>>20, ballastBytes>>20)}, nil
	}
	blocks := strconv.Itoa(ballastBytes / 512)
	return &disk{dir: dir, wrap: []string{"sh", "-c", `ulimit -S -f "$0" && exec "$@"`, blocks},
		what: fmt.Sprintf("mounting is not permitted (%v): files are limited to %d MB each instead", err, ballastBytes>>20)}, nil
}

func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// load puts the ballast in place.
func (d *disk) load() error {
	if !d.mounted {
		return nil
	}
	return writeBallast(d.ballast(), ballastBytes)
}

// free makes space for the process, if there is one.
func (d *disk) free(pid int) error {
	if d.mounted {
		return os.Remove(d.ballast())
	}
	d.wrap = nil
	return limitFiles(pid, unix.RLIM_INFINITY)
}

// refill takes as much space as there is, but for what the broker holds.
func (d *disk) refill(pid int) {
	if d.mounted {
		// That it does not fit whole is the point.
		_ = writeBallast(d.ballast(), ballastBytes)
		return
	}
	if info, err := os.Stat(filepath.Join(d.dir, "data", "tarn.db")); err == nil {
		_ = limitFiles(pid, uint64(info.Size()+1<<20))
	}
}

func limitFiles(pid int, bytes uint64) error {
	if pid == 0 {
		return nil
	}
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &now); err != nil {
		return fmt.Errorf("file limit of the broker: %w", err)
	}
	now.Cur = min(bytes, now.Max)
	return unix.Prlimit(pid, unix.RLIMIT_FSIZE, &now, nil)
}

func (d *disk) close() {
	if d.mounted {
		_ = unix.Unmount(d.dir, unix.MNT_DETACH)
	}
}
