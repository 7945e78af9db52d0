package topic

import "testing"

func TestUnknownFields(t *testing.T) {
	for _, part := range []string{"key", "value"} {
		for word, want := range map[string]bool{"allow": false, "refuse": true} {
			c, err := effective(nil, map[string]string{"tarn." + part + ".schema.unknown": word})
			if err != nil {
				t.Fatal(err)
			}
			if got := map[string]bool{"key": c.Key.RefuseUnknown, "value": c.Value.RefuseUnknown}[part]; got != want {
				t.Errorf("%s %s: got %v, want %v", part, word, got, want)
			}
		}
		if _, err := Canonical(map[string]string{"tarn." + part + ".schema.unknown": "drop"}); err == nil {
			t.Errorf("%s: a word that is none was taken", part)
		}
	}
}
