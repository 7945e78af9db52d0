package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/dek"
)

// localSecret is the environment variable from which Confluent's clients and
// registry take the secret of the local KMS.
const localSecret = "LOCAL_SECRET"

// openKeys opens the keys of client-side encryption. The secret of the local KMS
// is read from a file, so that it stands in no list of processes.
func (n *node) openKeys(ctx context.Context) error {
	secret := os.Getenv(localSecret)
	if file := n.cmd.RegistryKMSSecret; file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("--registry.kms.secret-file: %w", err)
		}
		if secret = strings.TrimRight(string(b), "\r\n"); secret == "" {
			return fmt.Errorf("--registry.kms.secret-file: %s is empty", file)
		}
	}
	var err error
	n.keys, err = dek.Open(ctx, dek.Config{
		Engine: n.engine, Secret: secret, Log: n.lg.With("component", "registry"),
		Importing: func(subject string) bool {
			mode := n.registry.ModeInForce(subject)
			return mode == registry.Import || mode == registry.ImportForward
		},
	})
	return err
}

// registryClient names who asks the registry: the user, "" if nobody was asked.
func registryClient(r *http.Request) string {
	if p := principalOf(r); p != auth.Anonymous() {
		return p.String()
	}
	return ""
}
