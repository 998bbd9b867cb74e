//go:build !linux || !(amd64 || arm64)

package power

import (
	"errors"
	"math/rand/v2"
	"os/exec"
)

// Recorder observes nothing here.
type Recorder struct{}

var errOther = errors.New("syncs can be observed on Linux only, on amd64 and arm64")

// NewRecorder fails here.
func NewRecorder(string, string) (*Recorder, error) { return nil, errOther }

// Check fails: nothing can be observed here.
func Check() error { return errOther }

// Start fails here.
func (r *Recorder) Start(*exec.Cmd) error { return errOther }

// Err fails: nothing is observed here.
func (r *Recorder) Err() error { return errOther }

// Image fails here.
func (r *Recorder) Image(string, *rand.Rand) error { return errOther }

// Become does nothing here.
func Become() error { return nil }

// Adopt fails here.
func (r *Recorder) Adopt() error { return errOther }
