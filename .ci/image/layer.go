package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// healthcheck is Docker's extension of an image's configuration.
type healthcheck struct {
	Test []string `json:"Test"`
}

// imageConfig is how an image is run (OCI image specification, config).
type imageConfig struct {
	User         string              `json:"User,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
	Env          []string            `json:"Env,omitempty"`
	Entrypoint   []string            `json:"Entrypoint,omitempty"`
	Cmd          []string            `json:"Cmd,omitempty"`
	Volumes      map[string]struct{} `json:"Volumes,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
	StopSignal   string              `json:"StopSignal,omitempty"`
	Healthcheck  *healthcheck        `json:"Healthcheck,omitempty"`
}

// descriptor points to a blob.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	Manifests     []descriptor `json:"manifests"`
}

type imageFile struct {
	Created      string      `json:"created"`
	Architecture string      `json:"architecture"`
	OS           string      `json:"os"`
	Config       imageConfig `json:"config"`
	RootFS       rootFS      `json:"rootfs"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

// layerWriter writes an image of one layer as an OCI layout.
type layerWriter struct {
	layout   string
	file     *os.File
	packed   hash.Hash // of what is in the file
	unpacked hash.Hash // of the archive in it
	gz       *gzip.Writer
	tar      *tar.Writer
	dirs     map[string]bool
}

func newLayer(layout string) (*layerWriter, error) {
	if err := os.MkdirAll(filepath.Join(layout, "blobs", "sha256"), 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(layout, "layer.tmp"))
	if err != nil {
		return nil, err
	}
	l := &layerWriter{layout: layout, file: f, packed: sha256.New(), unpacked: sha256.New(), dirs: map[string]bool{"/": true, ".": true}}
	if l.gz, err = gzip.NewWriterLevel(io.MultiWriter(f, l.packed), gzip.BestCompression); err != nil {
		return nil, err
	}
	l.tar = tar.NewWriter(io.MultiWriter(l.gz, l.unpacked))
	return l, nil
}

// add adds a file, or what is in a folder, as COPY does it: the target of a folder has
// mode 755 whatever the folder has, and folders in it keep theirs. Times are zero, so that
// the same files are the same layer.
func (l *layerWriter) add(from, to string, uid, gid int) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	name := strings.TrimPrefix(path.Clean(to), "/")
	if err := l.parents(path.Dir(name)); err != nil {
		return err
	}
	if !info.IsDir() {
		return l.regular(from, &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size(), Uid: uid, Gid: gid})
	}
	if name != "" {
		if err := l.folder(name, 0o755, uid, gid); err != nil {
			return err
		}
	}
	inside, err := os.ReadDir(from)
	for _, e := range inside {
		below := filepath.Join(from, e.Name())
		info, infoErr := os.Stat(below)
		if infoErr != nil || !info.IsDir() {
			return errors.Join(infoErr, fmt.Errorf("%s: only folders are understood in a folder", below))
		}
		if inside, err := os.ReadDir(below); err != nil || len(inside) > 0 {
			return errors.Join(err, fmt.Errorf("%s has %d files; only empty folders are understood", below, len(inside)))
		}
		mode := int64(info.Mode().Perm())
		if info.Mode()&os.ModeSticky != 0 {
			mode |= 0o1000
		}
		if err := l.folder(path.Join(name, e.Name()), mode, uid, gid); err != nil {
			return err
		}
	}
	return err
}

// regular adds a file.
func (l *layerWriter) regular(from string, head *tar.Header) error {
	head.Typeflag, head.ModTime, head.Format = tar.TypeReg, time.Unix(0, 0), tar.FormatPAX
	if err := l.tar.WriteHeader(head); err != nil {
		return err
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(l.tar, f)
	return err
}

// folder adds an empty folder.
func (l *layerWriter) folder(name string, mode int64, uid, gid int) error {
	l.dirs[name] = true
	return l.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: uid, Gid: gid, ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	})
}

func (l *layerWriter) parents(dir string) error {
	if l.dirs[dir] {
		return nil
	}
	if err := l.parents(path.Dir(dir)); err != nil {
		return err
	}
	return l.folder(dir, 0o755, 0, 0)
}

// finish writes what stands beside the layer.
func (l *layerWriter) finish(c imageConfig) error {
	if err := errors.Join(l.tar.Close(), l.gz.Close()); err != nil {
		return err
	}
	size, err := l.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err := l.file.Close(); err != nil {
		return err
	}
	sum := hex.EncodeToString(l.packed.Sum(nil))
	if err := os.Rename(l.file.Name(), l.blob(sum)); err != nil {
		return err
	}
	layer := descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Digest: "sha256:" + sum, Size: size}
	config, err := l.put("application/vnd.oci.image.config.v1+json", imageFile{
		Created: time.Unix(0, 0).UTC().Format(time.RFC3339), Architecture: runtime.GOARCH, OS: "linux", Config: c,
		RootFS: rootFS{Type: "layers", DiffIDs: []string{"sha256:" + hex.EncodeToString(l.unpacked.Sum(nil))}},
	})
	if err != nil {
		return err
	}
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	m, err := l.put(manifestType, manifest{SchemaVersion: 2, MediaType: manifestType, Config: config, Layers: []descriptor{layer}})
	if err != nil {
		return err
	}
	m.Annotations = map[string]string{"org.opencontainers.image.ref.name": "latest"}
	return errors.Join(
		writeJSON(filepath.Join(l.layout, "index.json"), index{SchemaVersion: 2, Manifests: []descriptor{m}}),
		writeJSON(filepath.Join(l.layout, "oci-layout"), map[string]string{"imageLayoutVersion": "1.0.0"}))
}

func (l *layerWriter) blob(sum string) string { return filepath.Join(l.layout, "blobs", "sha256", sum) }

func (l *layerWriter) put(kind string, v any) (descriptor, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	sum := sha256.Sum256(b)
	name := hex.EncodeToString(sum[:])
	return descriptor{MediaType: kind, Digest: "sha256:" + name, Size: int64(len(b))}, os.WriteFile(l.blob(name), b, 0o644)
}

func writeJSON(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o644)
}

// image is one that was read back.
type image struct {
	config                    imageConfig
	layer                     string // its file
	layerBytes, unpackedBytes int64
}

// readLayout reads an OCI layout back as a registry's client would, by digests.
func readLayout(layout string) (image, error) {
	read := func(d descriptor, v any) error {
		b, err := os.ReadFile(filepath.Join(layout, "blobs", "sha256", strings.TrimPrefix(d.Digest, "sha256:")))
		if err != nil {
			return err
		}
		if sum := sha256.Sum256(b); "sha256:"+hex.EncodeToString(sum[:]) != d.Digest || int64(len(b)) != d.Size {
			return fmt.Errorf("blob %s is not what its name says", d.Digest)
		}
		return json.Unmarshal(b, v)
	}
	b, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		return image{}, err
	}
	var ix index
	var m manifest
	var c imageFile
	if err := json.Unmarshal(b, &ix); err != nil {
		return image{}, err
	}
	if err := read(ix.Manifests[0], &m); err != nil {
		return image{}, err
	}
	if err := read(m.Config, &c); err != nil {
		return image{}, err
	}
	out := image{config: c.Config, layerBytes: m.Layers[0].Size}
	out.layer = filepath.Join(layout, "blobs", "sha256", strings.TrimPrefix(m.Layers[0].Digest, "sha256:"))
	err = eachFile(out.layer, func(h *tar.Header, _ io.Reader) error {
		out.unpackedBytes += h.Size
		return nil
	})
	return out, err
}

// eachFile calls do for everything in a layer.
func eachFile(layer string, do func(h *tar.Header, r io.Reader) error) error {
	f, err := os.Open(layer)
	if err != nil {
		return err
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for t := tar.NewReader(gz); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(h, t); err != nil {
			return err
		}
	}
}

// unpack makes the root file system that a layer is.
func unpack(layer, root string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	return eachFile(layer, func(h *tar.Header, r io.Reader) error {
		name := filepath.Join(root, h.Name)
		if h.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(name, os.FileMode(h.Mode)); err != nil {
				return err
			}
			// As a number: the sticky bit of os.FileMode is another.
			return errors.Join(os.Chown(name, h.Uid, h.Gid), syscall.Chmod(name, uint32(h.Mode)))
		}
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, os.FileMode(h.Mode))
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return errors.Join(err, f.Close(), os.Chown(name, h.Uid, h.Gid))
	})
}
