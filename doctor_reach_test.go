package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/tarn-io/tarn/broker/brokertest"
)

// TestRemedy gives advice that fits the error, and access rules for refusals only.
func TestRemedy(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{syscall.ECONNREFUSED, "nobody listens at k:9092"},
		{&net.DNSError{Err: "no such host", Name: "k"}, "the name is not known"},
		{context.DeadlineExceeded, "a firewall or a wrong address"},
		{syscall.EHOSTUNREACH, "no way from here"},
		{io.EOF, "wants TLS or a password"},
		{tls.RecordHeaderError{Msg: "no TLS"}, "leave --tls and --tls-ca away"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "--tls-ca the certificate"},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "k"}}, "a name that the certificate has"},
		{kerr.SaslAuthenticationFailed, "--user and its password"},
		{&apiError{Code: 40101}, "--user and its password"},
		{kerr.UnsupportedSaslMechanism, "--sasl a mechanism"},
		{kerr.ClusterAuthorizationFailed, "tarn acl create"},
		{&kadm.AuthError{Err: kerr.ClusterAuthorizationFailed}, "tarn acl create"},
		{&apiError{Code: 40301}, "tarn acl create"},
		{errors.New("strange"), "other"},
	} {
		got := remedy("k:9092", fmt.Errorf("wrapped: %w", tt.err), "other")
		if !strings.Contains(got, tt.want) || strings.Contains(got, "acl") != strings.Contains(tt.want, "acl") {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}

// TestDoctorElsewhere looks at brokers whose clients are told another one's address, one
// that wants TLS, and their own.
func TestDoctorElsewhere(t *testing.T) {
	one := brokertest.New(t)
	other := brokertest.New(t)
	closed := brokertest.New(t, brokertest.WithTLS())
	for _, tt := range []struct {
		told, status, found, fix string
	}{
		{one.Address(), "ok", "where the same broker answers", ""},
		{other.Address(), "problem", "another broker answers: its cluster is " + other.ClusterID(), "--kafka.advertise " + one.Address()},
		{closed.Address(), "problem", "nobody speaks Kafka to us", "wants TLS or a password"},
	} {
		d := &doctor{doctorCmd: &doctorCmd{}}
		d.Brokers, d.HTTP = one.Address(), "http://127.0.0.1:1"
		ok := d.advertised(t.Context(), one.Address(), tt.told, one.ClusterID())
		f := d.findings[len(d.findings)-1]
		if ok != (tt.status == "ok") || f.Status != tt.status || !strings.Contains(f.Found, tt.found) || !strings.Contains(f.Fix, tt.fix) {
			t.Errorf("told %s: %+v", tt.told, f)
		}
	}
}
