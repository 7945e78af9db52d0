package main

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func TestSettingValue(t *testing.T) {
	t.Setenv("WORD", "text")
	dir := t.TempDir()
	one, large := filepath.Join(dir, "one"), filepath.Join(dir, "large")
	for path, text := range map[string]string{one: "se${env:WORD}\ncret\r\n", large: strings.Repeat("x", maxSecretBytes+1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ in, want, err string }{
		{"", "", ""},
		{"plain $5 {a}", "plain $5 {a}", ""},
		{"<${env:WORD}${env:WORD}>", "<texttext>", ""},
		{"$${env:WORD}", "${env:WORD}", ""},
		{"${file:" + one + "}!", "se${env:WORD}\ncret!", ""}, // what is looked up is not looked at again
		{"${file:" + large + "}", "", "${file:" + large + "}: holds more than 65536 bytes, which no setting has"},
		{"${env:NOT_SET_HERE}", "", "${env:NOT_SET_HERE}: the variable is not set"},
		{"${file:" + dir + "/none}", "", "no such file"},
		{"${env:}", "", "${env: is neither ${env:NAME} nor ${file:PATH}"},
		{"${WORD}", "", "${WORD is neither"},
		{"${env:WORD", "", "is neither"},
	} {
		got, err := settingValue(tt.in)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: got %q, %v; want %q, %q", tt.in, got, err, tt.want, tt.err)
		}
	}
}

// TestEmptyPaths sets every variable that names a file or a directory to nothing: all
// commands are as if it was not set, and the working directory is not taken for it.
func TestEmptyPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	values := func() (map[string]any, map[string]bool) {
		k, err := newParser(&cli{}, stdio{out: io.Discard, err: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Parse([]string{"topic", "list"}); err != nil {
			t.Fatal(err)
		}
		got, variables := map[string]any{}, map[string]bool{}
		var look func(n *kong.Node)
		look = func(n *kong.Node) {
			for _, f := range n.Flags {
				if f.Tag.Type == "path" || f.PlaceHolder == "FILE" || f.PlaceHolder == "DIR" {
					got[commandPath(n)+" --"+f.Name] = f.Target.Interface()
					for _, env := range f.Envs {
						variables[env] = true
					}
				}
			}
			for _, c := range n.Children {
				look(c)
			}
		}
		look(k.Model.Node)
		return got, variables
	}
	want, variables := values()
	for _, env := range []string{"TARN_DATA", "TARN_CONFIG", "TARN_TLS_CA", "TARN_KAFKA_TLS_CERT", "TARN_SCHEMA_DIR"} {
		if !variables[env] {
			t.Errorf("%s is not among %v", env, variables)
		}
	}
	for env := range variables {
		t.Setenv(env, "")
	}
	if got, _ := values(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}

	// So it is in tarn.yaml and in profiles, and beside a variable that names a file.
	for path, text := range map[string]string{
		"tarn.yaml": "data: ''\nkafka: {tls: {cert: '', key: }}\n",
		"secret":    "./elsewhere\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var c cli
	k, err := newParser(&c, stdio{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Parse([]string{"serve"}); err != nil || c.Serve.Data != "./tarn-data" || c.Serve.TLSCert != "" || c.Serve.TLSKey != "" {
		t.Errorf("settings file: data %q, certificate %q and %q: %v", c.Serve.Data, c.Serve.TLSCert, c.Serve.TLSKey, err)
	}
	if err := (&profiles{Profiles: map[string]map[string]string{"p": {"brokers": "x:1", "data": ""}}}).write(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Parse([]string{"topic", "list", "--profile", "p"}); err != nil || c.Topic.List.Data != "./tarn-data" || c.Topic.List.Brokers != "x:1" {
		t.Errorf("profile: data %q of %q: %v", c.Topic.List.Data, c.Topic.List.Brokers, err)
	}
	t.Setenv("TARN_DATA_FILE", "secret")
	if _, err := k.Parse([]string{"topic", "list"}); err != nil || c.Topic.List.Data != "./elsewhere" {
		t.Errorf("TARN_DATA_FILE: data %q: %v", c.Topic.List.Data, err)
	}
}
