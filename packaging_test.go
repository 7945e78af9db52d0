package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// serveWith parses a command line of tarn serve as main does, in a folder without
// settings of its own.
func serveWith(t *testing.T, args ...string) serveCmd {
	t.Helper()
	t.Chdir(t.TempDir())
	var c cli
	parser, err := newParser(&c, stdio{strings.NewReader(""), os.Stdout, os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatalf("tarn %q: %v", args, err)
	}
	return c.Serve
}

// TestImageSettings holds the settings that the image and compose.yaml bring to what
// the broker makes of them: one listener for the host, and two that each tell their
// clients an address which these can reach.
func TestImageSettings(t *testing.T) {
	dockerfile, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`RUN printf '(.*)' > /out/tarn\.yaml`).FindSubmatch(dockerfile)
	if found == nil {
		t.Fatal("the Dockerfile writes no tarn.yaml")
	}
	// compose.yaml has a tmpfs at /tmp: what SQL spills there would count as memory.
	if !strings.Contains(string(dockerfile), "\nENV SQLITE_TMPDIR=/var/lib/tarn\n") || !strings.Contains(string(dockerfile), "\nVOLUME /var/lib/tarn\n") {
		t.Error("the Dockerfile does not have SQL spill into the volume")
	}
	// A default would win over the platform that an engine builds for.
	for _, arg := range []string{"\nARG TARGETOS\n", "\nARG TARGETARCH\n"} {
		if !strings.Contains(string(dockerfile), arg) {
			t.Errorf("the Dockerfile has no %q", arg)
		}
	}
	settings := filepath.Join(t.TempDir(), "tarn.yaml")
	if err := os.WriteFile(settings, []byte(strings.ReplaceAll(string(found[1]), `\n`, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct {
			Environment map[string]string `yaml:"environment"`
			Ports       []string          `yaml:"ports"`
			ReadOnly    bool              `yaml:"read_only"`
			Volumes     []string          `yaml:"volumes"`
			Command     []string          `yaml:"command"`
			Healthcheck struct {
				Disable bool `yaml:"disable"`
			} `yaml:"healthcheck"`
		} `yaml:"services"`
		Volumes map[string]any `yaml:"volumes"`
	}
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TARN_CONFIG", settings)
	t.Setenv("TARN_DATA", "/var/lib/tarn")
	c := serveWith(t, "serve")
	ends, err := c.endpoints()
	if err != nil || len(ends) != 1 || ends[0].addr != "0.0.0.0:9092" || ends[0].advertise != "localhost:9092" {
		t.Errorf("image: %+v, %v", ends, err)
	}
	if err := c.checkExposure(); err != nil || c.HTTPListen != "0.0.0.0:8081" || c.Data != "/var/lib/tarn" {
		t.Errorf("image: HTTP at %s, data in %s, %v", c.HTTPListen, c.Data, err)
	}

	service := compose.Services["tarn"]
	for k, v := range service.Environment {
		t.Setenv(k, v)
	}
	c = serveWith(t, "serve")
	ends, err = c.endpoints()
	if err != nil || len(ends) != 2 {
		t.Fatalf("compose: %+v, %v", ends, err)
	}
	for i, want := range []endpoint{
		{name: "INTERNAL", addr: "0.0.0.0:29092", advertise: "tarn:29092"},
		{name: "EXTERNAL", addr: "0.0.0.0:9092", advertise: "localhost:9092"},
	} {
		if ends[i] != want {
			t.Errorf("compose: listener %+v, want %+v", ends[i], want)
		}
	}
	for _, p := range service.Ports {
		if !strings.HasPrefix(p, "127.0.0.1:") {
			t.Errorf("compose publishes %s beyond this machine, without authentication", p)
		}
	}
	if !service.ReadOnly || len(service.Volumes) != 1 || compose.Volumes == nil || !strings.HasSuffix(service.Volumes[0], ":/var/lib/tarn") {
		t.Errorf("compose: read-only %v, volumes %v", service.ReadOnly, service.Volumes)
	}
	serveWith(t, compose.Services["demo"].Command...)
	if service.Healthcheck.Disable || !compose.Services["demo"].Healthcheck.Disable {
		t.Error("compose: the image's health check is for the service that serves, and for no other")
	}
}

// TestUnit holds the unit to what systemd is told and to where data and settings lie.
func TestUnit(t *testing.T) {
	b, err := os.ReadFile("examples/systemd/tarn.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Type=notify", "WatchdogSec=", "StateDirectory=tarn", "TARN_DATA=/var/lib/tarn",
		"DynamicUser=yes", "ProtectSystem=strict", "ConfigurationDirectory=tarn", "WorkingDirectory=/etc/tarn",
	} {
		if !strings.Contains(string(b), "\n"+want) && !strings.Contains(string(b), "="+want) {
			t.Errorf("the unit lacks %s", want)
		}
	}
	found := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/tarn (.*)$`).FindSubmatch(b)
	if found == nil {
		t.Fatal("the unit starts nothing")
	}
	serveWith(t, strings.Fields(string(found[1]))...)
}
