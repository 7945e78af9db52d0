// Package dek is the registry of keys behind client-side encryption: Confluent's
// DEK registry. A KEK names a key in a key management service; a DEK is a key
// for the fields of a subject, kept only as the KEK encrypted it. Clients encrypt
// and decrypt; a KEK that is shared lets the registry do so in their place.
//
//	dek.go     what a key is; the limits
//	store.go   the state, and one change = one Engine.Commit
//	keks.go    KEKs: create, update, delete
//	deks.go    DEKs: create, rewrap, delete, list
//	kms.go     the local key management service, in Tink's formats
//	items.go   keys and values in the store
//
// It knows no HTTP (registry/rest) and nothing of schemas.
package dek

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of the key registry.
const (
	// MaxKeys bounds the KEKs, and the DEKs of all subjects: Confluent's
	// dek.registry.max.keys. All of them are in memory, and a change copies a map.
	MaxKeys = 20_000
	// MaxNameBytes bounds a KEK's name, which is part of items' keys.
	MaxNameBytes = 256
	// MaxSubjectBytes bounds a subject's name, which is part of them too.
	MaxSubjectBytes = 1024
	// MaxFieldBytes bounds the texts of a KEK together: ids and properties have
	// some hundred bytes.
	MaxFieldBytes = 64 << 10
	// MaxMaterialBytes bounds an encrypted DEK in base64: services make some
	// hundred bytes of 64, and all DEKs are in memory.
	MaxMaterialBytes = 8 << 10
	// maxAttempts bounds how often a change is tried again because another
	// process was faster.
	maxAttempts = 16
)

// Latest as a version means the highest one.
const Latest = -1

// Algorithm says what a DEK is for.
type Algorithm string

// The algorithms of Confluent's clients; AES256GCM is the default.
const (
	AES128GCM Algorithm = "AES128_GCM"
	AES256GCM Algorithm = "AES256_GCM"
	AES256SIV Algorithm = "AES256_SIV"
)

// ParseAlgorithm reads an algorithm; "" is AES256GCM. The error is a *Refused of
// ErrInvalid.
func ParseAlgorithm(text string) (Algorithm, error) {
	switch a := Algorithm(text); a {
	case "":
		return AES256GCM, nil
	case AES128GCM, AES256GCM, AES256SIV:
		return a, nil
	}
	return "", &Refused{ErrInvalid, "algorithm"}
}

// KEK is a key encryption key: a name for a key of a key management service.
type KEK struct {
	Name     string            `json:"name"`
	KMSType  string            `json:"kmsType"`
	KMSKeyID string            `json:"kmsKeyId"`
	KMSProps map[string]string `json:"kmsProps"`
	Doc      *string           `json:"doc,omitempty"`
	// Shared lets the registry use the key: it then makes and opens DEKs itself.
	Shared    bool  `json:"shared"`
	UpdatedMs int64 `json:"ts"`
	Deleted   bool  `json:"deleted,omitempty"` // softly: it can be undeleted
}

// DEK is a data encryption key.
type DEK struct {
	KEK       string    `json:"kekName"`
	Subject   string    `json:"subject"`
	Version   int       `json:"version"`
	Algorithm Algorithm `json:"algorithm"`
	// Encrypted is the key as the KEK encrypted it, in base64.
	Encrypted string `json:"encryptedKeyMaterial,omitempty"`
	// Raw is the key itself in base64, only in answers and only of shared KEKs.
	Raw       string `json:"keyMaterial,omitempty"`
	UpdatedMs int64  `json:"ts"`
	Deleted   bool   `json:"deleted,omitempty"`
}

// Kinds of refusal; they come wrapped in a *Refused. All other errors of Store
// have failed, and come from the engine.
var (
	ErrNotFound   = errors.New("no such key")
	ErrNotDeleted = errors.New("key must be soft-deleted first")
	ErrDeleted    = errors.New("key must be undeleted first")
	ErrExists     = errors.New("key exists")
	ErrTooMany    = errors.New("too many keys")
	ErrInvalid    = errors.New("invalid or missing field of a key")
	ErrReferenced = errors.New("other keys refer to it")
	// ErrGeneration is a key that the key management service did not make or open.
	ErrGeneration = errors.New("key cannot be generated")
)

// Refused is a refusal of one of the kinds above. About is the key's name, the
// field, or for ErrGeneration what went wrong.
type Refused struct {
	Kind  error
	About string
}

// Error gives `no such key: "orders"`.
func (e *Refused) Error() string { return fmt.Sprintf("%v: %q", e.Kind, e.About) }

// Unwrap is the kind.
func (e *Refused) Unwrap() error { return e.Kind }

// CheckName refuses what is no KEK's name, with ErrInvalid.
func CheckName(name string) error {
	bad := func(c rune) bool { return c != '_' && c != '-' && !unicode.IsLetter(c) && !unicode.IsDigit(c) }
	first, _ := utf8.DecodeRuneInString(name)
	if len(name) > MaxNameBytes || first != '_' && !unicode.IsLetter(first) || strings.ContainsFunc(name, bad) {
		return &Refused{ErrInvalid, "name"}
	}
	return nil
}

// CheckSubject refuses what is no subject's name, with ErrInvalid.
func CheckSubject(subject string) error {
	if subject == "" || len(subject) > MaxSubjectBytes || !utf8.ValidString(subject) || strings.ContainsFunc(subject, unicode.IsControl) {
		return &Refused{ErrInvalid, "subject"}
	}
	return nil
}
