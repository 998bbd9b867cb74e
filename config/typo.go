package config

import (
	"fmt"
	"slices"
	"strings"
)

// misspelt finds environment variables that are probably misspelt settings. Only
// near misses count: Kubernetes sets KAZOO_SERVICE_HOST and others for a service
// called kazoo.
func misspelt(env values) []string {
	var known []string
	for _, v := range Variables() {
		known = append(known, v.Name)
		if v.Secret {
			known = append(known, v.FileName())
		}
	}
	var out []string
	for n := range env {
		if !strings.HasPrefix(n, "KAZOO_") && !strings.HasPrefix(n, "HOOK_") && !strings.HasPrefix(n, "FORWARD_") && !strings.HasPrefix(n, "CLUSTER_") || slices.Contains(known, n) {
			continue
		}
		if near := nearest(n, known); near != "" {
			out = append(out, fmt.Sprintf("%s: is not a setting and has no effect; did you mean %s?", n, near))
		}
	}
	slices.Sort(out)
	return out
}

// nearest returns the candidate within a typo's distance of s, or "".
func nearest(s string, candidates []string) string {
	best, distance := "", 3
	if len(s) < 6 {
		distance = 2
	}
	for _, c := range candidates {
		if d := editDistance(s, c); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbours that make a into b.
func editDistance(a, b string) int {
	if abs := len(a) - len(b); abs > 3 || abs < -3 {
		return 4 // too far to matter, and not worth the table
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
