package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/rogpeppe/go-internal/testscript"
)

// makeAuthority runs "authority NAME…": ca.pem, certificates of the broker
// (broker.pem, broker.key) and of each name, and keys.json, by which tokens in
// $NAME_TOKEN are believed for an hour.
func makeAuthority(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: authority [NAME…]")
	}
	dir := ts.Getenv("WORK")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	writeCertificate(ts, filepath.Join(dir, "ca"), root, root, key, key)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, nil)
	ts.Check(err)
	for i, name := range append([]string{"broker"}, args...) {
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 2)), Subject: pkix.Name{CommonName: name, OrganizationalUnit: []string{"shop"}},
			NotBefore: root.NotBefore, NotAfter: root.NotAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		ts.Check(err)
		writeCertificate(ts, filepath.Join(dir, name), leaf, root, own, key)
		token, err := jwt.Signed(signer).Claims(jwt.Claims{
			Issuer: "https://issuer.example", Subject: name, Audience: jwt.Audience{"kafka"},
			IssuedAt: jwt.NewNumericDate(time.Now()), Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour)),
		}).Serialize()
		ts.Check(err)
		ts.Setenv(strings.ToUpper(name)+"_TOKEN", token)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(dir, "keys.json"), keys, 0o600))
}

func writeCertificate(ts *testscript.TestScript, path string, c, parent *x509.Certificate, own, signer *ecdsa.PrivateKey) {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, own.Public(), signer)
	ts.Check(err)
	ts.Check(os.WriteFile(path+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	key, err := x509.MarshalPKCS8PrivateKey(own)
	ts.Check(err)
	ts.Check(os.WriteFile(path+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
}
