package measure

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Machine describes the machine. Absolute figures depend on it; ratios carry over.
type Machine struct {
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	Memory    string `json:"memory"`
	System    string `json:"system"`
	Go        string `json:"go"`
	Dir       string `json:"directory"` // with its file system
	// Load is the system's load average before and after. If it is above the number of
	// cores, something else was running, and even ratios are rough.
	Load [2]string `json:"load_average"`
	When time.Time `json:"when"`
}

func machine(dir string) Machine {
	return Machine{
		Processor: line("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Memory: line("/proc/meminfo", "MemTotal"),
		System: strings.TrimSpace(runtime.GOOS + "/" + runtime.GOARCH + " " + word("/proc/sys/kernel/osrelease", 0)),
		Go:     runtime.Version() + settings(), Dir: fileSystem(dir), Load: [2]string{loadAverage(), ""}, When: time.Now().UTC().Truncate(time.Second),
	}
}

func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s; %s; %s; %s; load average %s before, %s after; %s",
		m.Processor, m.Cores, m.Memory, m.System, m.Go, m.Dir, m.Load[0], m.Load[1], m.When.Format(time.RFC3339))
}

func loadAverage() string { return word("/proc/loadavg", 0) }

// line returns the value of a name in a file of "name : value" lines.
func line(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(l, name); ok {
			return strings.Trim(v, " \t:\n")
		}
	}
	return "unknown"
}

func word(path string, n int) string {
	b, err := os.ReadFile(path)
	if f := strings.Fields(string(b)); err == nil && n < len(f) {
		return f[n]
	}
	return ""
}

// settings lists settings of the build and environment that affect Go's speed.
func settings() (s string) {
	if info, ok := debug.ReadBuildInfo(); ok {
		i := slices.IndexFunc(info.Settings, func(b debug.BuildSetting) bool { return b.Key == "-race" && b.Value == "true" })
		if i >= 0 {
			s += " with the race detector"
		}
	}
	for _, v := range []string{"GOGC", "GOMEMLIMIT", "GOMAXPROCS"} {
		if x := os.Getenv(v); x != "" {
			s += " " + v + "=" + x
		}
	}
	return s
}

// fileSystem is the kind of file system that a directory is on.
func fileSystem(dir string) string {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return "unknown file system"
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	best, kind := "", ""
	for l := range strings.Lines(string(mounts)) {
		f := strings.Fields(l)
		inside := len(f) > 2 && (f[1] == "/" || dir == f[1] || strings.HasPrefix(dir, f[1]+"/"))
		if inside && len(f[1]) >= len(best) {
			best, kind = f[1], f[2]+" on "+f[0]
		}
	}
	return kind
}
