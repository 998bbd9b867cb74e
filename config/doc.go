// Package config reads the settings of kazoohook: defaults, then a YAML file, then
// the environment, then the flags that were really given. It reports every problem
// at once, each with what to do.
//
// Config holds the values. The comment of each field is its documentation, in help
// texts and in docs/configuration.md, which is generated. A Secret masks itself
// wherever it is printed. Only cmd imports this package; it has no goroutine. It
// writes one file, the generated hook secret in the data directory. The secret is
// on disk before anything uses it.
package config
