// Package redact masks secrets in everything that is shown: log lines, errors,
// tables, pages, answers, metrics.
//
// A Redactor knows secrets by their literal value and finds them in whatever
// encoding they appear: percent-encoded, form-encoded, escaped in JSON, or inside
// base64 such as Basic auth. It uses no patterns of text, so unusual text around a
// secret can't hide it, and nothing else is masked. The exception is a password
// that is an ordinary word or number (Common).
//
// One Redactor serves the whole program. Later secrets (a login token, a rotated
// secret) are added at run time. There are no goroutines, and nothing is stored.
package redact
