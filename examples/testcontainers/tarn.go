// Package tarn runs Tarn in a container for Go tests, with testcontainers-go. Tests in
// Go that need no container use broker/brokertest or sink/tarntest instead, which take a
// millisecond.
package tarn

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// Ports of the container.
const (
	kafkaPort = "9092/tcp"
	httpPort  = "8081/tcp"
)

// Container is a running Tarn: broker, schema registry, tables, SQL, all in memory.
type Container struct {
	testcontainers.Container
	brokers, registry string
}

// Run starts image, such as "ghcr.io/tarn-io/tarn:latest", and tells it where its
// clients are: the port that they see is known only after the start. The caller
// terminates it (testcontainers.CleanupContainer).
func Run(ctx context.Context, image string, opts ...testcontainers.ContainerCustomizer) (*Container, error) {
	opts = append([]testcontainers.ContainerCustomizer{
		testcontainers.WithExposedPorts(kafkaPort, httpPort),
		testcontainers.WithCmd("dev", "--kafka.listen", "0.0.0.0:9092", "--http.listen", "0.0.0.0:8081", "--insecure-listen"),
		testcontainers.WithWaitStrategy(wait.ForHTTP("/readyz").WithPort(httpPort)),
	}, opts...)
	inner, err := testcontainers.Run(ctx, image, opts...)
	c := &Container{Container: inner}
	if err == nil {
		err = c.find(ctx)
	}
	if err == nil {
		err = c.ask(ctx, http.MethodPut, "/_dev/advertise", fmt.Sprintf(`{"kafka":%q}`, c.brokers))
	}
	if err != nil {
		return c, fmt.Errorf("run %s: %w", image, err)
	}
	return c, nil
}

// find learns the ports that were given out.
func (c *Container) find(ctx context.Context) (err error) {
	if c.brokers, err = c.PortEndpoint(ctx, kafkaPort, ""); err != nil {
		return err
	}
	c.registry, err = c.PortEndpoint(ctx, httpPort, "http")
	return err
}

// Brokers is HOST:PORT for Kafka clients.
func (c *Container) Brokers() string { return c.brokers }

// RegistryURL is the URL of the schema registry; the Iceberg catalog is at /iceberg
// below it.
func (c *Container) RegistryURL() string { return c.registry }

// Reset makes it as it was after the start, in about a tenth of a second: one container
// serves a whole suite.
func (c *Container) Reset(ctx context.Context) error {
	return c.ask(ctx, http.MethodPost, "/_dev/reset", "")
}

// Fault makes something go wrong from now on, in the JSON of TESTING.md.
func (c *Container) Fault(ctx context.Context, fault string) error {
	return c.ask(ctx, http.MethodPost, "/_dev/faults", fault)
}

// maxComplaint is what is read of a refusal.
const maxComplaint = 4 << 10

func (c *Container) ask(ctx context.Context, method, path, body string) error {
	req, err := http.NewRequestWithContext(ctx, method, c.registry+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxComplaint))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return err
}
