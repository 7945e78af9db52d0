"""Certificates and tokens that a broker under test is told to trust."""

import base64
import datetime
import ipaddress
import json
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID


def write_key(path, key):
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


class Authority:
    """Makes certificates for this machine's loopback address."""

    def __init__(self, place):
        self.place, self.path = place, place / "ca.pem"
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "conformance")])
        cert = self.sign(self.name, self.key.public_key(), [
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False),
            (x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)])
        self.path.write_bytes(cert.public_bytes(serialization.Encoding.PEM))

    def sign(self, subject, public, extensions):
        now = datetime.datetime.now(datetime.timezone.utc)
        cert = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public)
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
                .not_valid_after(now + datetime.timedelta(days=1)))
        for extension, critical in extensions:
            cert = cert.add_extension(extension, critical)
        return cert.sign(self.key, hashes.SHA256())

    def issue(self, name):
        """A certificate and its key. Java before 2.1 looks for the name of the
        address, so that stands in it too."""
        key = ec.generate_private_key(ec.SECP256R1())
        cert = self.sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key(), [
            (x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)])
        write_key(self.place / f"{name}.key", key)
        (self.place / f"{name}.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))


class Issuer:
    """Signs tokens, and writes its public key where the broker reads it."""

    def __init__(self, path):
        self.path = path
        self.key = rsa.generate_private_key(65537, 2048)
        numbers = self.key.public_key().public_numbers()
        n = numbers.n.to_bytes(256, "big")
        path.write_text(json.dumps({"keys": [{"kty": "RSA", "kid": "1", "alg": "RS256", "n": word(n), "e": "AQAB"}]}))

    def token(self, subject, seconds):
        now = int(time.time())
        claims = {"sub": subject, "iss": "conformance", "iat": now, "exp": now + seconds}
        text = word(json.dumps({"alg": "RS256", "kid": "1"}).encode()) + "." + word(json.dumps(claims).encode())
        return text + "." + word(self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))


def word(b):
    return base64.urlsafe_b64encode(b).decode().rstrip("=")
