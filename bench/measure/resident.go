package measure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// residentMB is the resident memory of a process in MB, now and at its highest since
// forgetPeak; 0 where the system doesn't report it.
func residentMB(pid int) (now, peak float64) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	mb := func(name string) float64 {
		kb, _ := strconv.ParseFloat(strings.TrimSuffix(line(path, name), " kB"), 64)
		return kb / 1024
	}
	return mb("VmRSS"), mb("VmHWM")
}

// forgetPeak resets the highest value to the present one.
func forgetPeak(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0) // if it fails, the peak is that of the whole life
}

// cpuOf is the processor time that a process has used; 0 where the system doesn't
// report it.
func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, ok := strings.Cut(string(stat), ") ") // behind the name
	fields := strings.Fields(rest)
	if err != nil || !ok || len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	const tick = 10 * time.Millisecond // USER_HZ is 100 everywhere
	return time.Duration(user+system) * tick
}
