package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
