package tarn_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/testcontainers/testcontainers-go"

	tarn "github.com/tarn-io/tarn/examples/testcontainers"
)

// TestRun wants a Docker engine, and an image in TARN_IMAGE.
func TestRun(t *testing.T) {
	image := os.Getenv("TARN_IMAGE")
	if image == "" {
		t.Skip("TARN_IMAGE names no image")
	}
	c, err := tarn.Run(t.Context(), image)
	testcontainers.CleanupContainer(t, c)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(c.RegistryURL() + "/subjects")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("registry: %v, %v", resp, err)
	}
	resp.Body.Close()
	if err := c.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
}
