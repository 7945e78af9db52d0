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

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clusterAt speaks Kafka with one address, as the flags and the profile say (TLS, SASL),
// and returns the id of the cluster that answers there.
func (d *doctor) clusterAt(ctx context.Context, addr string) (string, error) {
	login, err := d.kafkaOptions()
	if err != nil {
		return "", err
	}
	cl, err := kgo.NewClient(append(login, kgo.SeedBrokers(addr), kgo.ClientID("tarn"),
		kgo.SoftwareNameAndVersion("tarn", version), kgo.DialTimeout(doctorDial), kgo.RequestRetries(0))...)
	if err != nil {
		return "", err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*doctorDial)
	defer cancel()
	// Before its first request the client asks for ApiVersions and logs in.
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // none, rather than all
	resp, err := req.RequestWith(ctx, cl.SeedBrokers()[0])
	if err != nil {
		return "", err
	}
	if resp.ClusterID == nil {
		return "", nil
	}
	return *resp.ClusterID, nil
}

// notAllowed reports whether an error is that of an access rule.
func notAllowed(err error) bool {
	var auth *kadm.AuthError
	var api *apiError
	switch {
	case errors.As(err, &auth):
		return true
	case errors.As(err, &api):
		return api.Code/100 == 403
	}
	return errors.Is(err, kerr.ClusterAuthorizationFailed) || errors.Is(err, kerr.TopicAuthorizationFailed)
}

// remedy says what to change after an error on the way to an address: other for what is
// of no known kind.
func remedy(addr string, err error, other string) string {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var certificate *tls.CertificateVerificationError
	var api *apiError
	var timeout net.Error
	switch {
	case notAllowed(err):
		return "give this user the right to describe the cluster: tarn acl create --cluster --operation describe --principal NAME"
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.As(err, &api) && api.Code/100 == 401:
		return "look at --user and its password (TARN_PASSWORD), and whether tarn user list has it"
	case errors.Is(err, kerr.UnsupportedSaslMechanism), strings.Contains(err.Error(), "SASL mechanism"):
		return "give --sasl a mechanism that the listener has (tarn listener list)"
	case errors.As(err, &record):
		return "the listener has no TLS: leave --tls and --tls-ca away, here or in the profile"
	case errors.As(err, &authority):
		return "give --tls-ca the certificate of the authority that signed the broker's"
	case errors.As(err, &name):
		return "clients must come by a name that the certificate has: advertise such a one, or make a certificate for this one"
	case errors.As(err, &certificate):
		return "renew the broker's certificate, or set the clock right that finds it expired"
	case errors.As(err, &alert):
		return "the listener asks for a certificate of yours: give --tls-cert and --tls-key"
	case errors.As(err, &dns):
		return "the name is not known here: put it into DNS or the hosts file, or have clients told an address that they know"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens at " + addr + ": start the broker, or look at the port (a container's must be published)"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way from here to " + addr + ": look at routes and networks"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "open the way to " + addr + ": a firewall or a wrong address keeps silent"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "if the listener at " + addr + " wants TLS or a password, give --tls-ca, --user and --sasl; else it is no Kafka listener"
	}
	return other
}

// advertised speaks Kafka at an address that clients are told, and reports whether they
// get to the same broker by it.
func (d *doctor) advertised(ctx context.Context, reached, told, cluster string) bool {
	fix := fmt.Sprintf("tarn serve --kafka.advertise %s, or while it runs: tarn listener advertise %s://%s", reached, d.listener(ctx, told), reached)
	if !loopback(reached) && loopback(told) {
		d.problem("advertised", fix, "clients are told %s, which on their machines is their own: you came by %s", told, reached)
		return false
	}
	if err := dialled(ctx, told); err != nil {
		d.problem("advertised", fix, "clients are told %s, which does not answer from here: %v", told, err)
		return false
	}
	there, err := d.clusterAt(ctx, told)
	if err != nil {
		d.problem("advertised", remedy(told, err, "see what listens there; or "+fix), "clients are told %s, where nobody speaks Kafka to us: %v", told, err)
		return false
	}
	if there != cluster {
		d.problem("advertised", fix, "clients are told %s, where another broker answers: its cluster is %s, this one's is %s", told, there, cluster)
		return false
	}
	d.ok("advertised", "clients are told %s, where the same broker answers", told)
	return true
}
