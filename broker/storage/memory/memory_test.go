package memory_test

import (
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/storage/storagetest"
)

func TestSuite(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) (storage.Engine, func() storage.Engine) {
		eng := memory.New()
		t.Cleanup(func() {
			if err := eng.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		return eng, nil
	})
}
