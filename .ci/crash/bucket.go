package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// The credentials of a gateway that lives as long as the test.
const (
	bucketUser   = "crash"
	bucketSecret = "crash-test-secret"
)

// bucketTables is where tables lie in it.
const bucketTables = "s3://lake/tables"

// openBucket starts a gateway that serves a folder by the protocol of S3, and
// has the broker keep its tables there. Readers look into the folder itself.
func (r *trial) openBucket(ctx context.Context) (stop func(), err error) {
	root := filepath.Join(r.dir, "buckets")
	r.tables = filepath.Join(root, "lake", "tables")
	if err := os.MkdirAll(filepath.Join(root, "lake"), 0o755); err != nil {
		return nil, err
	}
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(r.dir, "gateway.log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, r.opts.gateway, "--port", addr, "posix", root)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+bucketUser, "ROOT_SECRET_KEY="+bucketSecret)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the gateway: %w", err), log.Close())
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
	}
	limited, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		var d net.Dialer
		if c, err := d.DialContext(limited, "tcp", addr); err == nil {
			_ = c.Close()
			break
		}
		select {
		case <-limited.Done():
			stop()
			return nil, fmt.Errorf("the gateway does not listen on %s; see %s", addr, log.Name())
		case <-time.After(20 * time.Millisecond):
		}
	}
	r.config.Warehouse = bucketTables + "?endpoint=http://" + addr
	r.config.Env = append(r.config.Env, "AWS_ACCESS_KEY_ID="+bucketUser, "AWS_SECRET_ACCESS_KEY="+bucketSecret,
		"AWS_EC2_METADATA_DISABLED=true")
	return stop, nil
}

func freeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
