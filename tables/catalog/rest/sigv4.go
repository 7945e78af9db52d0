package rest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
)

// SigV4 says how requests to Amazon's services are signed. Credentials come from
// where Amazon's tools find them.
type SigV4 struct {
	Region  string // empty: the environment's
	Service string // glue, s3tables, execute-api; empty: execute-api
	// Credentials, if set, stand in for those of the environment.
	Credentials aws.CredentialsProvider
}

// Signer signs requests with Amazon's Signature Version 4. Safe for concurrent
// use. The environment is read by the first request, and again if it failed.
type Signer struct {
	s *v4.Signer

	mu sync.Mutex
	c  SigV4 // guarded by mu; Region and Credentials are settled once
}

// NewSigner returns a signer; it touches neither files nor network.
func NewSigner(c SigV4) *Signer {
	c.Service = cmp.Or(c.Service, "execute-api")
	return &Signer{c: c, s: v4.NewSigner()}
}

// Region is the region that requests are signed for. Errors: ErrConfig if
// nothing says it; the environment cannot be read.
func (s *Signer) Region(ctx context.Context) (string, error) {
	c, err := s.settle(ctx)
	return c.Region, err
}

func (s *Signer) settle(ctx context.Context) (SigV4, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c.Region != "" && s.c.Credentials != nil {
		return s.c, nil
	}
	found, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return s.c, fmt.Errorf("find Amazon's credentials: %w", err)
	}
	if s.c.Region = cmp.Or(s.c.Region, found.Region); s.c.Region == "" {
		return s.c, fmt.Errorf("%w: no region: set --catalog.region or AWS_REGION", ErrConfig)
	}
	if s.c.Credentials == nil {
		s.c.Credentials = found.Credentials
	}
	return s.c, nil
}

// Sign signs a request that has this body.
func (s *Signer) Sign(ctx context.Context, req *http.Request, body []byte) error {
	c, err := s.settle(ctx)
	if err != nil {
		return err
	}
	who, err := c.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("find Amazon's credentials: %w", err)
	}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", digest)
	return s.s.SignHTTP(ctx, who, req, digest, c.Service, c.Region, time.Now())
}

func (s *Signer) sign(ctx context.Context, req *http.Request, body []byte) error {
	return s.Sign(ctx, req, body)
}

func (s *Signer) forget() bool { return false }
