package registry

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// Kinds of refusal: nothing happened. They come wrapped in a *Refused, which
// knows the subject and version. registry/rest has Confluent's code of each. A
// schema text that is wrong, or refers to what is not there, is a
// *schema.ParseError, an incompatible one an *Incompatible; everything else
// that Registry returns has failed, and comes from the engine.
var (
	ErrSubjectNotFound     = errors.New("no such subject")
	ErrVersionNotFound     = errors.New("no such version")
	ErrSchemaNotFound      = errors.New("no such schema")
	ErrSubjectDeleted      = errors.New("subject is already soft-deleted")
	ErrSubjectNotDeleted   = errors.New("subject must be soft-deleted before it is deleted permanently")
	ErrVersionDeleted      = errors.New("version is already soft-deleted")
	ErrVersionNotDeleted   = errors.New("version must be soft-deleted before it is deleted permanently")
	ErrNoLevel             = errors.New("subject has no compatibility level of its own")
	ErrNoMode              = errors.New("subject has no mode of its own")
	ErrBadSubject          = errors.New("not a valid subject name")
	ErrBadContext          = errors.New("not a valid context name")
	ErrContextNotEmpty     = errors.New("context still has subjects")
	ErrBadLevel            = errors.New("not a compatibility level")
	ErrBadMode             = errors.New("not a mode that this registry has")
	ErrBadPolicy           = errors.New("not a compatibility policy that this registry has")
	ErrNotEmpty            = errors.New("cannot import, there are subjects already")
	ErrNotImport           = errors.New("subject is not in import mode")
	ErrNotReadWrite        = errors.New("subject is not in read-write mode")
	ErrOtherID             = errors.New("the id belongs to another schema")
	ErrAssociation         = errors.New("not a valid association")
	ErrNoAssociation       = errors.New("no such association")
	ErrTooManyAssociations = errors.New("too many associations")
	ErrAssociationExists   = errors.New("the resource has another association of that type")
	ErrSubjectAssociated   = errors.New("the subject has an association")
	ErrSubjectOwned        = errors.New("the subject belongs to a resource")
	ErrNoActiveVersion     = errors.New("the subject has no active version")
	ErrFrozen              = errors.New("the association is frozen")
	ErrBadRules            = errors.New("not a valid rule set")
	ErrReadOnly            = errors.New("subject is in read-only mode")
	ErrReferenced          = errors.New("other schemas refer to it")
	ErrTooLarge            = errors.New("schema is too large")
	ErrTooMany             = errors.New("a limit of the registry is reached")
	ErrFormat              = errors.New("format is not supported")
	ErrNoMessage           = errors.New("the schema has no such message")
)

// Refused is a refusal of one of the kinds above.
type Refused struct {
	Kind    error
	Subject string
	Version int    // 0 if it is not about a version
	ID      int    // 0 if it is not about an id
	Detail  string // what else there is to say
}

// Error gives `subject "orders-value" version 3: no such version`.
func (e *Refused) Error() string {
	var b strings.Builder
	if e.Subject != "" {
		fmt.Fprintf(&b, "subject %q ", e.Subject)
	}
	if e.Version != 0 {
		fmt.Fprintf(&b, "version %d ", e.Version)
	}
	if e.ID != 0 {
		fmt.Fprintf(&b, "id %d ", e.ID)
	}
	text := e.Kind.Error()
	if b.Len() > 0 {
		text = strings.TrimSuffix(b.String(), " ") + ": " + text
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// Unwrap is the kind.
func (e *Refused) Unwrap() error { return e.Kind }

func refuse(kind error, subject string) error { return &Refused{Kind: kind, Subject: subject} }

func refuseVersion(kind error, subject string, number int) error {
	return &Refused{Kind: kind, Subject: subject, Version: number}
}

// badSchema is the refusal of a text for what stands around it.
func badSchema(format string, args ...any) error {
	return &schema.ParseError{Msg: fmt.Sprintf(format, args...)}
}
