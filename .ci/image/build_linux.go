package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// builder builds the stages of a Dockerfile. The first stands on this machine's own
// root, below a layer of its own; the last one is the image.
type builder struct {
	dir    string // scratch
	roots  map[string]string
	ignore func(string) bool
	vars   map[string]string // of ARG and ENV, of the stage under way
	work   string            // WORKDIR of the stage under way
	config imageConfig
	layer  *layerWriter
}

// inBuild runs in a mount namespace: all mounts are gone when it ends.
func inBuild(dir, layout string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private (this needs root): %w", err)
	}
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		return err
	}
	ignored, err := os.ReadFile(".dockerignore")
	if err != nil {
		return err
	}
	global, stages, err := parseDockerfile(string(text))
	if err != nil {
		return fmt.Errorf("Dockerfile: %w", err)
	}
	b := &builder{dir: dir, roots: map[string]string{}, ignore: ignores(string(ignored))}
	if b.layer, err = newLayer(layout); err != nil {
		return err
	}
	for i, s := range stages {
		b.vars = map[string]string{"BUILDPLATFORM": "linux/" + runtime.GOARCH, "TARGETOS": "linux", "TARGETARCH": runtime.GOARCH}
		b.work = "/"
		last := i == len(stages)-1
		if from := expand(s.from, global); last && from != "scratch" {
			return fmt.Errorf("Dockerfile: the image is from %s, not from scratch", from)
		} else if !last && !strings.HasPrefix(from, "golang:") {
			return fmt.Errorf("Dockerfile: stage %s is from %s; this machine can stand for golang only", s.name, from)
		}
		if !last {
			if b.roots[s.name], err = b.machine(s.name); err != nil {
				return fmt.Errorf("a layer over this machine's root: %w", err)
			}
		}
		for _, in := range s.all {
			do := b.inImage
			if !last {
				do = func(in instruction) error { return b.inStage(b.roots[s.name], in) }
			}
			if err := do(in); err != nil {
				return fmt.Errorf("Dockerfile line %d, %s %s: %w", in.line, in.op, in.text, err)
			}
		}
	}
	return b.layer.finish(b.config)
}

// machine mounts this machine's root below a layer that takes all writes, and beside
// it what a program needs that compiles.
func (b *builder) machine(name string) (string, error) {
	base := filepath.Join(b.dir, "stage-"+name)
	root := filepath.Join(base, "root")
	for _, d := range []string{"up", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(base, d), 0o755); err != nil {
			return "", err
		}
	}
	opts := "lowerdir=/,upperdir=" + filepath.Join(base, "up") + ",workdir=" + filepath.Join(base, "work")
	if err := syscall.Mount("overlay", root, "overlay", 0, opts); err != nil {
		return "", err
	}
	binds := []string{"/proc", "/sys", "/dev"}
	// Caches are shared, as a build of Docker would mount them.
	out, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	for _, d := range append(binds, strings.Fields(string(out))...) {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return "", err
		}
		if err := os.MkdirAll(d, 0o755); err != nil {
			return "", err
		}
		if err := syscall.Mount(d, filepath.Join(root, d), "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
			return "", fmt.Errorf("%s: %w", d, err)
		}
	}
	return root, nil
}

// inStage does one instruction of a stage that builds.
func (b *builder) inStage(root string, in instruction) error {
	switch in.op {
	case "ARG":
		name, value, hasDefault := strings.Cut(in.text, "=")
		if hasDefault && strings.HasPrefix(name, "TARGET") {
			return errors.New("a default wins over the platform that an engine builds for")
		}
		if given := os.Getenv(name); name == "VERSION" && given != "" {
			value = given
		}
		if b.vars[name] == "" {
			b.vars[name] = value
		}
	case "WORKDIR":
		b.work = path.Join(b.work, in.text)
		return os.MkdirAll(filepath.Join(root, b.work), 0o755)
	case "COPY":
		words := strings.Fields(in.text)
		to := words[len(words)-1]
		for _, from := range words[:len(words)-1] {
			if err := b.copyContext(from, filepath.Join(root, b.work, to)); err != nil {
				return err
			}
		}
	case "RUN":
		fmt.Println("RUN", in.text)
		cmd := exec.Command("/bin/sh", "-c", in.text)
		cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = b.work, os.Stdout, os.Stderr, os.Environ()
		for k, v := range b.vars {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		return cmd.Run()
	default:
		return errors.New("not understood in a stage that builds")
	}
	return nil
}

// copyContext copies a file or all of the context.
func (b *builder) copyContext(from, to string) error {
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		slash := filepath.ToSlash(name)
		if slash != "." && b.ignore(slash) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		switch {
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		return copyFile(name, filepath.Join(to, name))
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// inImage does one instruction of the stage that is the image.
func (b *builder) inImage(in instruction) (err error) {
	c := &b.config
	switch in.op {
	case "LABEL":
		c.Labels, err = in.pairs(b.vars)
	case "ENV":
		pairs, err := in.pairs(b.vars)
		if err != nil {
			return err
		}
		for k, v := range pairs {
			c.Env = append(c.Env, k+"="+v)
		}
	case "COPY":
		return b.copyStage(in)
	case "WORKDIR":
		c.WorkingDir = in.text
	case "USER":
		c.User = in.text
	case "VOLUME":
		c.Volumes = map[string]struct{}{in.text: {}}
	case "EXPOSE":
		c.ExposedPorts = map[string]struct{}{}
		for _, p := range strings.Fields(in.text) {
			c.ExposedPorts[p+"/tcp"] = struct{}{}
		}
	case "STOPSIGNAL":
		c.StopSignal = in.text
	case "HEALTHCHECK":
		test, ok := strings.CutPrefix(in.text, "CMD ")
		if !ok {
			return errors.New("want CMD")
		}
		list, err := in.list(test)
		if err != nil {
			return err
		}
		c.Healthcheck = &healthcheck{Test: append([]string{"CMD"}, list...)}
	case "ENTRYPOINT":
		c.Entrypoint, err = in.list(in.text)
	case "CMD":
		c.Cmd, err = in.list(in.text)
	default:
		return errors.New("not understood in the image")
	}
	return err
}

// copyStage adds what an earlier stage has made to the layer.
func (b *builder) copyStage(in instruction) error {
	root, ok := b.roots[in.flags["from"]]
	words := strings.Fields(in.text)
	if !ok || len(words) != 2 {
		return errors.New("want --from=STAGE, one source and one target")
	}
	uid, gid := 0, 0
	if owner := in.flags["chown"]; owner != "" {
		u, g, _ := strings.Cut(owner, ":")
		var err1, err2 error
		uid, err1 = strconv.Atoi(u)
		gid, err2 = strconv.Atoi(g)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("an image without a list of users wants numbers: %w", err)
		}
	}
	return b.layer.add(filepath.Join(root, words[0]), words[1], uid, gid)
}
