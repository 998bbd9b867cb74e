// Package ui is the web page: the events, and the state of the service. It is
// embedded without a build step. It loads everything from the admin listener and
// holds no data: its scripts read the API.
//
// Every foreign value goes through assets/text.js, which shows control characters
// and isolates the direction of text.
//
// There are no goroutines, and nothing changes after New.
package ui
