package main

import (
	"errors"
	"fmt"
	"io"

	"kazoohook/config"
)

// The exit codes.
const (
	codeFailed  = 1 // something went wrong while running
	codeUsage   = 2 // wrong arguments or configuration
	codePending = 3 // plan: there are changes to make
)

// exitError is an error with an exit code.
type exitError struct {
	code int
	err  error  // nil: the code is enough
	hint string // a line to print after it
}

// exit returns an error that ends the program with code.
func exit(code int, err error) error { return &exitError{code: code, err: err} }

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

// report prints an error.
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
		_, _ = fmt.Fprintf(stderr, "kazoohook: the configuration has %s:\n  %s\n", noun, printableLines(problems.Error()))
	default:
		text := "kazoohook: " + printableLines(err.Error()) + "\n"
		if silent != nil && silent.hint != "" {
			text += silent.hint + "\n"
		}
		_, _ = io.WriteString(stderr, text)
	}
}
