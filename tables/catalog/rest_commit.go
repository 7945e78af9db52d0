package catalog

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/tarn-io/tarn/tables/metadata"
)

// maxTransaction bounds the tables of one transaction: all their metadata files
// are written before any becomes current.
const maxTransaction = 256

type commitBody struct {
	Identifier   *identifier            `json:"identifier"`
	Requirements []metadata.Requirement `json:"requirements"`
	Updates      []metadata.Update      `json:"updates"`
}

// guardCommit asks the policy about a commit. One without updates is asked about
// only where it makes the table: Trino sends it where it has found nothing to
// expire.
func (s *server) guardCommit(ident Identifier, c commitBody) error {
	makes := slices.ContainsFunc(c.Requirements, func(r metadata.Requirement) bool { return r.Type == metadata.AssertCreate })
	if len(c.Updates) == 0 && !makes {
		return nil
	}
	return s.guard(ident, c.Updates)
}

func (s *server) updateTable(w http.ResponseWriter, r *http.Request) error {
	var body commitBody
	if err := decode(r.Body, &body); err != nil {
		return err
	}
	ident := tableOf(r)
	if err := s.guardCommit(ident, body); err != nil {
		return err
	}
	meta, location, err := s.cat.CommitTable(r.Context(), ident, body.Requirements, body.Updates)
	if err != nil {
		return err
	}
	return s.replyTable(w, r, s.cat.table(ident, meta, location))
}

func (s *server) commitTransaction(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Changes []commitBody `json:"table-changes"`
	}
	if err := decode(r.Body, &body); err != nil {
		return err
	}
	if len(body.Changes) == 0 || len(body.Changes) > maxTransaction {
		return fmt.Errorf("%w: %d tables in a transaction, at most %d", ErrInvalid, len(body.Changes), maxTransaction)
	}
	commits := make([]Change, len(body.Changes))
	for i, ch := range body.Changes {
		if ch.Identifier == nil {
			return fmt.Errorf("%w: every table commit must have a valid identifier", ErrInvalid)
		}
		ident := ch.Identifier.ident()
		if err := s.guardCommit(ident, ch); err != nil {
			return err
		}
		commits[i] = Change{Identifier: ident, Requirements: ch.Requirements, Updates: ch.Updates}
	}
	if err := s.cat.CommitTransaction(r.Context(), commits); err != nil {
		return err
	}
	return s.done(w)
}
