package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// stamped is set by the linker (-X main.stamped=v1.2.3) if the build knows the
// version better than the version control information that Go embeds.
var stamped string

// build describes the build of this program.
type build struct{ Version, Commit, Go string }

func version() build {
	b := build{Version: stamped, Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		if b.Version == "" && info.Main.Version != "(devel)" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Commit = s.Value
			}
		}
	}
	if b.Version == "" {
		b.Version = "development"
	}
	return b
}

// String returns one line for people.
func (b build) String() string {
	s := "kazoohook " + b.Version
	if b.Commit != "" {
		s += " (" + b.Commit + ")"
	}
	return fmt.Sprintf("%s %s %s/%s", s, b.Go, runtime.GOOS, runtime.GOARCH)
}

// userAgent is the program's User-Agent in requests to Kazoo.
func (b build) userAgent() string { return "kazoohook/" + b.Version }

// versionCmd prints the version.
type versionCmd struct{}

// Run prints one line.
func (versionCmd) Run(_ context.Context, e *env) error {
	_, err := fmt.Fprintln(e.stdout, version())
	return err
}
