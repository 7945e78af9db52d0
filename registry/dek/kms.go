package dek

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// LocalKMS is the kmsType of the service that Confluent's clients call local: a
// key derived from a secret that client and registry have.
const LocalKMS = "local-kms"

// secretProp is the property of a KEK that holds the secret, as in Confluent's
// registry. The secret of Config is the better place: properties are read by
// everybody who may read the KEK.
const secretProp = "secret"

// Sizes of what Tink's AES-GCM makes with output prefix RAW.
const (
	localKeyBytes = 16
	nonceBytes    = 12
)

// open gives what encrypts with a KEK. Only the local service is known here:
// keys of other services are for clients.
func (s *Store) open(k KEK) (cipher.AEAD, error) {
	if k.KMSType != LocalKMS {
		return nil, fmt.Errorf("no KMS driver for %s: this registry has %s only, so such keys cannot be shared with it", k.KMSType, LocalKMS)
	}
	secret := k.KMSProps[secretProp]
	if secret == "" {
		secret = s.secret
	}
	if secret == "" {
		return nil, errors.New("cannot load secret: the registry was started without one for its local KMS")
	}
	return localAEAD(secret)
}

// localAEAD derives the key as Confluent's clients do: HKDF with SHA-256, no
// salt and no info, 16 bytes for AES-GCM.
func localAEAD(secret string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "", localKeyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive the local key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make the cipher: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block) // the nonce stands before the text, as in Tink
}

// encrypt gives raw as k encrypts it, in base64.
func (s *Store) encrypt(k KEK, raw []byte) (string, error) {
	aead, err := s.open(k)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(aead.Seal(nil, nil, raw, nil)), nil
}

// decrypt is the reverse of encrypt.
func (s *Store) decrypt(k KEK, encrypted string) ([]byte, error) {
	aead, err := s.open(k)
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(encrypted)
	if err != nil {
		return nil, errors.New("the encrypted key material is not base64")
	}
	if len(b) < nonceBytes {
		return nil, errors.New("decryption failed: too short")
	}
	raw, err := aead.Open(nil, nil, b, nil)
	if err != nil {
		return nil, errors.New("decryption failed")
	}
	return raw, nil
}

// generate makes a key in the form that Tink's key managers read: a protocol
// buffer AesGcmKey (key_value is field 3) or AesSivKey (field 2), version 0.
func generate(a Algorithm) []byte {
	tag, size := byte(3<<3|2), 32
	switch a {
	case AES128GCM:
		size = 16
	case AES256SIV:
		tag, size = 2<<3|2, 64
	}
	key := make([]byte, size)
	_, _ = rand.Read(key) // never fails
	return append([]byte{tag, byte(size)}, key...)
}

// normalType is a kmsType as Confluent's registry stores it.
func normalType(kmsType string) string {
	for _, known := range []string{"aws", "azure", "gcp"} {
		if strings.HasPrefix(strings.ToLower(kmsType), known) {
			return known + "-kms"
		}
	}
	return kmsType
}

// checkKeyID refuses ids that a service cannot have, with ErrInvalid.
func checkKeyID(kmsType, id string) error {
	var starts []string
	switch kmsType {
	case "aws-kms":
		starts = []string{"arn:aws:kms:"}
	case "azure-kms":
		starts = []string{"https://"}
	case "gcp-kms":
		starts = []string{"projects/"}
	case "hcvault":
		starts = []string{"https://", "http://"}
	default:
		return nil
	}
	for _, start := range starts {
		if strings.HasPrefix(id, start) {
			return nil
		}
	}
	return &Refused{ErrInvalid, "kmsKeyId"}
}
