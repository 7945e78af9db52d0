package auth

import (
	"bytes"
	"fmt"
	"os"
	"slices"

	"go.yaml.in/yaml/v4"
)

// File is a users file: it is there before anybody can sign in to make users.
//
//	admin: {password: secret, super: true}
//	alice: {password: other}
//
// A user of the file cannot be changed over the protocol, and one of the same
// name that is stored does not count.
type File struct {
	super []string
	made  map[string]user
}

// fileUser is one entry.
type fileUser struct {
	Password string `yaml:"password"`
	Super    bool   `yaml:"super"`
}

// maxFileBytes bounds a users file: some ten thousand users, each of whom costs
// milliseconds to salt.
const maxFileBytes = 1 << 20

// ReadFile reads a users file. Passwords are salted here and not kept.
func ReadFile(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	f, err := parseFile(b)
	if err != nil {
		return nil, fmt.Errorf("users file %s: %w", path, err)
	}
	return f, nil
}

func parseFile(b []byte) (*File, error) {
	if len(b) > maxFileBytes {
		return nil, fmt.Errorf("%d bytes are more than %d", len(b), maxFileBytes)
	}
	var entries map[string]fileUser
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&entries); err != nil && len(bytes.TrimSpace(b)) > 0 {
		return nil, err
	}
	f := &File{made: map[string]user{}}
	for name, e := range entries {
		if name == "" || len(name) > MaxNameBytes || e.Password == "" {
			return nil, fmt.Errorf("user %q needs a name of 1 to %d bytes and a password", name, MaxNameBytes)
		}
		one := user{Credentials: map[Mechanism]Credential{}}
		for _, m := range []Mechanism{SHA256, SHA512} {
			c, err := NewCredential(m, e.Password, DefaultIterations)
			if err != nil {
				return nil, err
			}
			one.Credentials[m] = c
		}
		if f.made[name] = one; e.Super {
			f.super = append(f.super, User(name).String())
		}
	}
	slices.Sort(f.super)
	return f, nil
}

// Super lists the super users, as "User:name". A nil File has none.
func (f *File) Super() []string {
	if f == nil {
		return nil
	}
	return f.super
}

func (f *File) users() map[string]user {
	if f == nil {
		return nil
	}
	return f.made
}
