// Package fakekazoo imitates a Kazoo phone platform in one process, as far as a
// webhook receiver can see it: the API (Crossbar), the webhooks application
// with its exact encoder, HTTP client and rules for switching hooks off, and
// the changes of objects and calls that make it fire.
//
// It is strict: it refuses what Kazoo refuses. It is adversarial: faults can be
// injected into every API operation and every request to a hook, by Go methods
// or over HTTP by the control handler. Time can be sped up (Options.Speed).
// Truth returns what really happened, to compare with what a receiver reports.
//
// What it does follows Kazoo's source (2600hz/kazoo 4.3 and HEAD, which calls
// itself 5.0): applications/webhooks/src/webhooks_util.erl and
// webhooks_disabler.erl, applications/crossbar/src/modules/cb_webhooks.erl,
// cb_user_auth.erl and cb_api_auth.erl, core/kazoo_web/src/kz_http_util.erl.
//
// Kazoo owns everything, under one lock: accounts and their objects, hooks,
// failed attempts, sessions. The webhooks application has a table of hooks of
// its own (application), and listings may lag behind (views), as in the real
// one. Each event that is being sent has a goroutine, and so has each change of a
// hook that must be undone. One goroutine looks for hooks that failed too often,
// one makes traffic. Close ends them all. Nothing is kept on disk.
package fakekazoo
