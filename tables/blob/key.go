package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// MaxKeyBytes bounds a key, as S3 does.
const MaxKeyBytes = 1024

// ErrKey is refused: not a slash-separated, relative, clean path, or one that
// is kept for the store's own files.
var ErrKey = errors.New("not an object key")

// CheckKey says why a key is none: ErrKey. For stores outside of this package.
func CheckKey(key string) error { return checkKey(key) }

func checkKey(key string) error {
	if key == "." || len(key) > MaxKeyBytes || !fs.ValidPath(key) || strings.ContainsAny(key, "\\\x00") ||
		key == tempDir || strings.HasPrefix(key, tempDir+"/") {
		return fmt.Errorf("%q: %w", key, ErrKey)
	}
	return nil
}

func checkCall(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return checkKey(key)
}
