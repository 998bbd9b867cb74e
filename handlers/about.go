package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"kazoohook/internal/event"
)

// About is the answer of /api/about: version, start, and room for the journal.
type About struct {
	Version   string    `json:"version"`
	Commit    string    `json:"commit,omitempty"`
	Go        string    `json:"go"`
	StartedAt time.Time `json:"started_at"`
	Uptime    float64   `json:"uptime_seconds"` // by a monotonic clock
	Journal   string    `json:"journal"`        // its name
	First     int64     `json:"first_seq"`      // of the oldest event kept, 0 if there is none
	Last      int64     `json:"last_seq"`       // of the newest event, 0 if there is none
	Bytes     int64     `json:"journal_bytes"`  // the journal's files on disk
	Disk      *Disk     `json:"disk,omitempty"` // nil: not known
	// Cluster is nil on a single node.
	Cluster *AboutCluster `json:"cluster,omitempty"`
}

// AboutCluster is a summary of the cluster; ClusterStatus has the rest.
type AboutCluster struct {
	Node    string `json:"node"`             // the one that answers
	Leader  string `json:"leader,omitempty"` // "": none
	Nodes   int    `json:"nodes"`            // connected ones
	Size    int    `json:"size"`
	Lag     uint64 `json:"lag"` // commands that the node has not applied yet
	Problem string `json:"problem,omitempty"`
}

// Disk is the room on the data directory's disk, in bytes.
type Disk struct {
	Free  uint64 `json:"free_bytes"` // for this user
	Total uint64 `json:"total_bytes"`
}

func about(d AdminDeps) http.Handler {
	if d.About == nil {
		return http.HandlerFunc(notFoundProblem)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, err := d.About(r.Context())
		if err != nil {
			failed(w, r, d.Log, err)
			return
		}
		writeJSON(w, a)
	})
}

// maskedURL returns the URL of a hook, with the secret masked.
func maskedURL(public *url.URL, hook string) string {
	if public == nil {
		return ""
	}
	base := url.URL{Scheme: public.Scheme, Host: public.Host}
	return base.String() + strings.TrimRight(public.EscapedPath(), "/") + "/kazoo/" + event.Masked + "/" + hook
}
