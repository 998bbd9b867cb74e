package measure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// residentMB is the memory of a process that is in RAM, now and at its highest
// since forgetPeak; 0 where the system doesn't tell.
func residentMB(pid int) (now, peak float64) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	mb := func(name string) float64 {
		kb, _ := strconv.ParseFloat(strings.TrimSuffix(line(path, name), " kB"), 64)
		return kb / 1024
	}
	return mb("VmRSS"), mb("VmHWM")
}

// forgetPeak makes the highest so far the present one.
func forgetPeak(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0) // where it fails it is the highest ever
}
