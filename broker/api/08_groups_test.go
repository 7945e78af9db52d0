package api

import "testing"

func TestClientHost(t *testing.T) {
	for remote, want := range map[string]string{
		"127.0.0.1:50123":   "/127.0.0.1",
		"[2001:db8::1]:903": "/2001:db8::1",
		"pipe":              "/pipe",
	} {
		r := &Request{Conn: &Conn{Remote: remote}, ClientID: "c"}
		if got := r.client(); got.Host != want || got.ID != "c" {
			t.Errorf("client of %s is %+v, want host %s", remote, got, want)
		}
	}
}
