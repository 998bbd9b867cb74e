package config

import (
	"testing"

	"kazoohook/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
