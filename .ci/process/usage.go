package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc; USER_HZ is 100 on every Linux.
const tick = 10 * time.Millisecond

// Resident is the process's memory in RAM, in bytes: all of it (VmRSS, with the
// pages of the binary itself) and what it asked for (RssAnon). It is known on
// Linux only.
func (b *Broker) Resident() (all, own int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.PID()))
	if err != nil {
		return 0, 0, fmt.Errorf("memory of the broker: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
			all = kb << 10
		}
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kb); n == 1 {
			own = kb << 10
		}
	}
	if all == 0 {
		return 0, 0, errors.New("memory of the broker: no VmRSS line")
	}
	return all, own, nil
}

// CPU is the time the process has computed so far, user and system. It is known
// on Linux only.
func (b *Broker) CPU() (time.Duration, error) { return used(strconv.Itoa(b.PID())) }

// OwnCPU is the time that this process has computed so far. It is known on Linux
// only.
func OwnCPU() (time.Duration, error) { return used("self") }

func used(process string) (time.Duration, error) {
	text, err := os.ReadFile("/proc/" + process + "/stat")
	if err != nil {
		return 0, fmt.Errorf("CPU time: %w", err)
	}
	// The second field, the name in parentheses, may hold spaces; utime and
	// stime are the 14th and 15th (proc(5)).
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New("CPU time: stat is too short")
	}
	user, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("CPU time: %w", err)
	}
	return time.Duration(user+system) * tick, nil
}
