package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"kazoohook/config"
)

// The exit codes.
const (
	codeFailed  = 1 // something went wrong while running
	codeUsage   = 2 // wrong arguments or configuration
	codePending = 3 // plan: there are changes to make
)

// exitError carries the code that the program is to end with.
type exitError struct {
	code int
	err  error // nil: the code says it all
}

// exit returns an error that ends the program with code.
func exit(code int, err error) error { return &exitError{code, err} }

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exitCode returns the code for what run returned.
func exitCode(err error) int {
	var exit *exitError
	var problems config.Problems
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &problems):
		return codeUsage
	}
	return codeFailed
}

// report tells a person what went wrong.
func report(stderr io.Writer, err error) {
	var silent *exitError
	var problems config.Problems
	switch {
	case err == nil, errors.As(err, &silent) && silent.err == nil:
	case errors.As(err, &problems):
		noun := "a problem"
		if len(problems) > 1 {
			noun = fmt.Sprintf("%d problems", len(problems))
		}
		lines := strings.ReplaceAll(problems.Error(), "\n", "\n  ")
		_, _ = fmt.Fprintf(stderr, "kazoohook: the configuration has %s:\n  %s\n", noun, lines)
	default:
		_, _ = fmt.Fprintf(stderr, "kazoohook: %v\n", err)
	}
}
