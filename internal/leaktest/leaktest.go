// Package leaktest fails the tests of a package that leave goroutines behind.
package leaktest

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Main runs the tests of a package, then looks for goroutines that they left behind.
// Its TestMain calls it.
func Main(m *testing.M, ignored ...goleak.Option) {
	goleak.VerifyTestMain(patient{m, ignored}, ignored...)
}

// patient runs tests, and lets goroutines end that are about to. goleak waits for them
// for less than half a second, in which a busy machine may not have run them.
type patient struct {
	*testing.M
	ignored []goleak.Option
}

// Run runs the tests and returns the exit code.
func (p patient) Run() int {
	code := p.M.Run()
	for end := time.Now().Add(time.Minute); code == 0 && time.Now().Before(end); {
		if goleak.Find(p.ignored...) == nil {
			break
		}
	}
	return code
}
