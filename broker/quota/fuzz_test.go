package quota

import "testing"

// FuzzEntity reads keys of items: what is one is written as it was read.
func FuzzEntity(f *testing.F) {
	for _, s := range []string{"user=alice,client-id=<default>", "client-id=a%2Cb", "ip=::1", "ip=<default>", "user=", "user=a,user=b", "x=y", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parseEntity(s)
		if err != nil {
			return
		}
		again, err := parseEntity(e.String())
		if err != nil || again != e {
			t.Errorf("%q is %+v, written %q, which is %+v, %v", s, e, e.String(), again, err)
		}
	})
}
