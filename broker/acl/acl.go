// Package acl says who may do what: bindings as Kafka's StandardAuthorizer
// keeps them, and the judgement by them. It knows neither requests nor how
// anybody came to be who they are.
package acl

import (
	"errors"
	"fmt"
	"strings"
)

// Resource is a kind of thing that bindings are about; numbers are Kafka's.
type Resource int8

// Kinds of resources. Subject is ours: subjects of the schema registry, which
// Kafka's protocol has no number for.
const (
	AnyResource     Resource = 1
	Topic           Resource = 2
	Group           Resource = 3
	Cluster         Resource = 4
	TransactionalID Resource = 5
	DelegationToken Resource = 6
	User            Resource = 7
	Subject         Resource = 100
)

// ClusterName is the only name of resource Cluster.
const ClusterName = "kafka-cluster"

// Wildcard stands for every name, principal ("User:*") or host.
const Wildcard = "*"

// Pattern is how a binding's name is meant; numbers are Kafka's.
type Pattern int8

// Patterns. AnyPattern and Match are for filters only: Match takes what would
// apply to a name.
const (
	AnyPattern Pattern = 1
	Match      Pattern = 2
	Literal    Pattern = 3
	Prefixed   Pattern = 4
)

// Operation is what is done; numbers are Kafka's.
type Operation int8

// Operations. AnyOperation is for filters only; All stands for every one.
const (
	AnyOperation    Operation = 1
	All             Operation = 2
	Read            Operation = 3
	Write           Operation = 4
	Create          Operation = 5
	Delete          Operation = 6
	Alter           Operation = 7
	Describe        Operation = 8
	ClusterAction   Operation = 9
	DescribeConfigs Operation = 10
	AlterConfigs    Operation = 11
	IdempotentWrite Operation = 12
	CreateTokens    Operation = 13
	DescribeTokens  Operation = 14
)

// Permission is whether a binding allows or denies; numbers are Kafka's.
type Permission int8

// Permissions. AnyPermission is for filters only.
const (
	AnyPermission Permission = 1
	Deny          Permission = 2
	Allow         Permission = 3
)

// names of the numbers, as people write them.
func resourceNames() map[Resource]string {
	return map[Resource]string{
		AnyResource: "any", Topic: "topic", Group: "group", Cluster: "cluster", TransactionalID: "transactional-id",
		DelegationToken: "delegation-token", User: "user", Subject: "subject",
	}
}

func patternNames() map[Pattern]string {
	return map[Pattern]string{AnyPattern: "any", Match: "match", Literal: "literal", Prefixed: "prefixed"}
}

func operationNames() map[Operation]string {
	return map[Operation]string{
		AnyOperation: "any", All: "all", Read: "read", Write: "write", Create: "create", Delete: "delete", Alter: "alter",
		Describe: "describe", ClusterAction: "cluster-action", DescribeConfigs: "describe-configs",
		AlterConfigs: "alter-configs", IdempotentWrite: "idempotent-write", CreateTokens: "create-tokens", DescribeTokens: "describe-tokens",
	}
}

func permissionNames() map[Permission]string {
	return map[Permission]string{AnyPermission: "any", Deny: "deny", Allow: "allow"}
}

// text writes a number by its name, and one without by itself.
func text[T ~int8](n T, names map[T]string) string {
	if s, ok := names[n]; ok {
		return s
	}
	return fmt.Sprint(int8(n))
}

// read finds the number of a name; the separators - and _ and case do not matter.
func read[T ~int8](s string, what string, names map[T]string) (T, error) {
	plain := strings.ReplaceAll(strings.ToLower(s), "_", "-")
	for n, name := range names {
		if name == plain {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: there is no %s %q", ErrInvalid, what, s)
}

// String is the resource's name.
func (r Resource) String() string { return text(r, resourceNames()) }

// String is the pattern's name.
func (p Pattern) String() string { return text(p, patternNames()) }

// String is the operation's name.
func (o Operation) String() string { return text(o, operationNames()) }

// String is the permission's name.
func (p Permission) String() string { return text(p, permissionNames()) }

// MarshalText writes the name.
func (r Resource) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// MarshalText writes the name.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// MarshalText writes the name.
func (o Operation) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// MarshalText writes the name.
func (p Permission) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a name; the error is ErrInvalid.
func (r *Resource) UnmarshalText(b []byte) (err error) {
	*r, err = read(string(b), "resource type", resourceNames())
	return err
}

// UnmarshalText reads a name; the error is ErrInvalid.
func (p *Pattern) UnmarshalText(b []byte) (err error) {
	*p, err = read(string(b), "pattern type", patternNames())
	return err
}

// UnmarshalText reads a name; the error is ErrInvalid.
func (o *Operation) UnmarshalText(b []byte) (err error) {
	*o, err = read(string(b), "operation", operationNames())
	return err
}

// UnmarshalText reads a name; the error is ErrInvalid.
func (p *Permission) UnmarshalText(b []byte) (err error) {
	*p, err = read(string(b), "permission", permissionNames())
	return err
}

// Binding is one rule.
type Binding struct {
	Resource   Resource   `json:"resource"`
	Name       string     `json:"name"`
	Pattern    Pattern    `json:"pattern"`
	Principal  string     `json:"principal"` // "User:name" or "User:*"
	Host       string     `json:"host"`      // an address, or "*"
	Operation  Operation  `json:"operation"`
	Permission Permission `json:"permission"`
}

// ErrInvalid says that a binding or a filter cannot be: refused.
var ErrInvalid = errors.New("invalid access rule")

// maxTextBytes bounds each text of a binding.
const maxTextBytes = 1024

// Check reports what is wrong with a binding that is to be kept.
func (b Binding) Check() error {
	kind, name, ok := strings.Cut(b.Principal, ":")
	_, knownResource := resourceNames()[b.Resource]
	_, knownOperation := operationNames()[b.Operation]
	switch {
	case !knownResource || b.Resource == AnyResource:
		return fmt.Errorf("%w: Invalid resource type %d", ErrInvalid, b.Resource)
	case b.Pattern != Literal && b.Pattern != Prefixed:
		return fmt.Errorf("%w: Invalid pattern type %d", ErrInvalid, b.Pattern)
	case !knownOperation || b.Operation == AnyOperation:
		return fmt.Errorf("%w: Invalid operation %d", ErrInvalid, b.Operation)
	case b.Permission != Allow && b.Permission != Deny:
		return fmt.Errorf("%w: Invalid permission %d", ErrInvalid, b.Permission)
	case b.Name == "":
		return fmt.Errorf("%w: Invalid empty resource name", ErrInvalid)
	case b.Resource == Cluster && b.Name != ClusterName:
		return fmt.Errorf("%w: The only valid name for the CLUSTER resource is %s", ErrInvalid, ClusterName)
	case !ok || kind == "" || name == "":
		return fmt.Errorf("%w: Could not parse principal from `%s`", ErrInvalid, b.Principal)
	case b.Host == "":
		return fmt.Errorf("%w: empty host", ErrInvalid)
	case len(b.Name) > maxTextBytes || len(b.Principal) > maxTextBytes || len(b.Host) > maxTextBytes:
		return fmt.Errorf("%w: a text of more than %d bytes", ErrInvalid, maxTextBytes)
	}
	return nil
}

// Filter chooses bindings; nil texts choose any. The zero values of the others
// choose any, too.
type Filter struct {
	Resource   Resource   `json:"resource,omitempty"`
	Name       *string    `json:"name,omitempty"`
	Pattern    Pattern    `json:"pattern,omitempty"`
	Principal  *string    `json:"principal,omitempty"`
	Host       *string    `json:"host,omitempty"`
	Operation  Operation  `json:"operation,omitempty"`
	Permission Permission `json:"permission,omitempty"`
}

// Matches reports whether f chooses b.
func (f Filter) Matches(b Binding) bool {
	return (f.Resource <= AnyResource || f.Resource == b.Resource) && f.matchesName(b) &&
		(f.Principal == nil || *f.Principal == b.Principal) && (f.Host == nil || *f.Host == b.Host) &&
		(f.Operation <= AnyOperation || f.Operation == b.Operation) &&
		(f.Permission <= AnyPermission || f.Permission == b.Permission)
}

func (f Filter) matchesName(b Binding) bool {
	if f.Pattern > Match && f.Pattern != b.Pattern {
		return false
	}
	switch {
	case f.Name == nil:
		return true
	case f.Pattern != Match:
		return *f.Name == b.Name
	case b.Pattern == Prefixed:
		return strings.HasPrefix(*f.Name, b.Name)
	}
	return *f.Name == b.Name || b.Name == Wildcard
}
