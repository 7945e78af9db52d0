package schema

import (
	"crypto/md5"
	"testing"
)

func TestGUID(t *testing.T) {
	refs := []Reference{{Name: "a.proto", Subject: "a", Version: 258}}
	meta := &Metadata{
		Tags:       map[string][]string{"z": {"PII"}, "b": {"Y", "X", "X"}},
		Properties: map[string]string{"owner": "me", "app": "1"},
		Sensitive:  []string{"t", "s"},
	}
	rules := &RuleSet{
		DomainRules: []Rule{{Name: "n", Doc: "d", Kind: "CONDITION", Mode: "WRITE", Type: "CEL", Tags: []string{"q", "p"},
			Params: map[string]string{"k2": "v2", "k1": "v1"}, Expr: "e", OnSuccess: "os", OnFailure: "of", Disabled: true}},
		MigrationRules: []Rule{{Name: "m"}},
		EnableAt:       "at",
	}
	tests := []struct {
		name string
		got  [16]byte
		want string // the hashed bytes
	}{
		{"text", GUID(`"string"`, nil, nil, nil), `"string"`},
		{"reference", GUID("t", refs, nil, nil), "ta.protoa\x00\x00\x01\x02"},
		{"metadata", GUID("t", nil, meta, nil), "t\x01bXYzPIIapp1ownermest"},
		{"empty metadata", GUID("t", nil, &Metadata{}, nil), "t\x01"},
		{"rules", GUID("t", nil, nil, rules), "t\x01mndCONDITIONWRITECELpqk1v1k2v2eosof\x01at"},
	}
	for _, tt := range tests {
		if want := md5.Sum([]byte(tt.want)); tt.got != want {
			t.Errorf("%s: got %x, want %x", tt.name, tt.got, want)
		}
	}
}
