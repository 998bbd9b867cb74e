// Package collector measures a journal for Prometheus. A Metrics gets what the
// journal observes as it happens, and reads the journal's Stats at each scrape.
//
// It owns the histograms, which are lost with the process, and starts no
// goroutines.
package collector
