// Command image does what a Docker engine does with the Dockerfile, without one: it
// builds the stages, writes the image as an OCI layout, unpacks its layer, and runs
// it in namespaces of its own: uid 65532, no capabilities, a read-only root, one
// volume, its own network. Then it uses it as its users do.
//
//	go run ./.ci/image
//	go run ./.ci/image -o image.oci -version 1.2.3
//
// It needs root, for namespaces and mounts, and Go, which stands for the image that
// the first stage is from. It ends with a line "N passed, M failed" and exits 1 if
// any check failed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

// maxImageBytes is how large the compressed layer may be.
const maxImageBytes = 30_000_000

func main() {
	if len(os.Args) > 1 {
		// What this command starts of itself, in namespaces of its own.
		switch os.Args[1] {
		case "in-build":
			exit(inBuild(os.Args[2], os.Args[3]))
		case "in-run":
			exit(inRun(os.Args[2], os.Args[3]))
		case "in-container":
			exit(inContainer(os.Args[2], os.Args[3:]))
		}
	}
	out := flag.String("o", "", "folder for the image as an OCI layout; empty: a temporary one")
	use := flag.String("run", "", "folder of an image that is there, to run instead of building one")
	version := flag.String("version", "", "argument VERSION of the build; empty: as the Dockerfile says")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, *out, *use, *version))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, out, use, version string) error {
	dir, err := os.MkdirTemp("", "tarn-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // the image's user goes through it
		return err
	}
	layout := out
	if use != "" {
		layout = use
	}
	if layout == "" {
		layout = filepath.Join(dir, "oci")
	}
	if layout, err = filepath.Abs(layout); err != nil {
		return err
	}
	if err := os.MkdirAll(layout, 0o755); err != nil {
		return err
	}
	if use == "" {
		if err := again(ctx, syscall.CLONE_NEWNS, []string{"VERSION=" + version}, "in-build", dir, layout); err != nil {
			return fmt.Errorf("build: %w", err)
		}
	}
	img, err := readLayout(layout)
	if err != nil {
		return err
	}
	root := filepath.Join(dir, "root")
	if err := unpack(img.layer, root); err != nil {
		return fmt.Errorf("unpack the layer: %w", err)
	}
	fmt.Printf("image: %.1f MB compressed, %.1f MB unpacked\n", float64(img.layerBytes)/1e6, float64(img.unpackedBytes)/1e6)
	return again(ctx, syscall.CLONE_NEWNS|syscall.CLONE_NEWNET|syscall.CLONE_NEWPID, nil, "in-run", dir, layout)
}

// again starts this command once more, in new namespaces.
func again(ctx context.Context, flags uintptr, env []string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdout, os.Stderr, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	return cmd.Run()
}
