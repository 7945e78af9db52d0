package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// container runs programs of an image as an engine would.
type container struct {
	root, volume string
	config       imageConfig
	env          []string // over the image's
}

// newContainer makes a volume as an engine does: empty, with the owner that the
// image's folder has; and the names that every container has.
func newContainer(root, volume string, c imageConfig) (*container, error) {
	info, err := os.Stat(filepath.Join(root, c.WorkingDir))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(volume, info.Mode().Perm()); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(root, "etc/hosts"), []byte("127.0.0.1 localhost\n"), 0o644); err != nil {
		return nil, err
	}
	owner := info.Sys().(*syscall.Stat_t)
	return &container{root: root, volume: volume, config: c}, os.Chown(volume, int(owner.Uid), int(owner.Gid))
}

// settings is what inContainer needs to know.
type settings struct {
	Root, Volume, Target, WorkingDir string
	UID, GID                         int
	Env                              []string
}

// command prepares a program of the image; nil arguments are the image's own.
func (c *container) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	u, g, _ := strings.Cut(c.config.User, ":")
	uid, err1 := strconv.Atoi(u)
	gid, err2 := strconv.Atoi(g)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("user of the image: %w", err)
	}
	s := settings{Root: c.root, Volume: c.volume, WorkingDir: c.config.WorkingDir, UID: uid, GID: gid, Env: append(append([]string{}, c.config.Env...), c.env...)}
	for v := range c.config.Volumes {
		s.Target = v
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	if args == nil {
		args = c.config.Cmd
	}
	cmd := exec.CommandContext(ctx, self, append(append([]string{"in-container", string(b)}, c.config.Entrypoint...), args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	return cmd, nil
}

// output runs a program of the image to its end.
func (c *container) output(ctx context.Context, in string, args ...string) (string, error) {
	cmd, err := c.command(ctx, args...)
	if err != nil {
		return "", err
	}
	var out, noise bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &noise
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("tarn %s: %w\n%s", strings.Join(args, " "), err, noise.String())
	}
	return out.String(), nil
}

// inContainer becomes a program of the image: read-only root, the volume, the
// image's user, no capabilities.
func inContainer(text string, args []string) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	target, tmp := filepath.Join(s.Root, s.Target), filepath.Join(s.Root, "tmp")
	// As Docker does it: the tmpfs is root's, with the mode of the folder below it.
	var below syscall.Stat_t
	if err := syscall.Stat(tmp, &below); err != nil {
		return err
	}
	err := errors.Join(
		syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
		syscall.Mount(s.Root, s.Root, "", syscall.MS_BIND, ""),
		syscall.Mount("", s.Root, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV, ""),
		syscall.Mount(s.Volume, target, "", syscall.MS_BIND, ""),
		syscall.Mount("tmpfs", tmp, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, fmt.Sprintf("mode=%o", below.Mode&0o7777)),
		syscall.Chroot(s.Root),
		syscall.Chdir(s.WorkingDir),
	)
	if err != nil {
		return fmt.Errorf("set the container up: %w", err)
	}
	if err := os.WriteFile("/probe", nil, 0o644); !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("the root is not read-only: %w", err)
	}
	const noNewPrivs = 38 // PR_SET_NO_NEW_PRIVS
	if _, _, no := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, noNewPrivs, 1, 0); no != 0 {
		return fmt.Errorf("no new privileges: %w", no)
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(s.GID), syscall.Setuid(s.UID)); err != nil {
		return fmt.Errorf("become the image's user: %w", err)
	}
	program := args[0]
	for _, e := range s.Env {
		if dir, ok := strings.CutPrefix(e, "PATH="); ok && !strings.Contains(program, "/") {
			program = filepath.Join(dir, program)
		}
	}
	return fmt.Errorf("start %s: %w", program, syscall.Exec(program, args, s.Env))
}

// loopbackUp starts the network of a new namespace, which has 127.0.0.1 only.
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	request := struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	copy(request.name[:], "lo")
	if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); no != 0 {
		return no
	}
	return nil
}
