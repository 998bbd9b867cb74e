package registration

import (
	"net/url"
	"strings"
	"time"

	"kazoohook/internal/crossbar"
)

// sign is evidence in Kazoo's record that a hook was switched off or changed.
type sign struct {
	hookID string
	at     time.Time // our clock: the first attempt that shows it
	why    string
}

// judge finds signs in failed attempts. Each attempt is judged once.
type judge struct {
	recent map[string][]time.Time // by hook id: failures of the last minute that don't make a sign yet
}

// wantedHook describes the attempts of a hook that nobody has changed.
type wantedHook struct {
	crossbar.Hook
	uris    []string                     // digests of the addresses that we gave it
	accepts func(uri string) (ours bool) // the URI has one of our secrets
}

// look returns the signs in new attempts, oldest first, with times by our clock.
// Attempts up to until were judged before; zero: none were. The last of them count
// together with new ones.
func (j *judge) look(attempts []crossbar.Attempt, until time.Time, hooks map[string]wantedHook) (found []sign) {
	for _, a := range attempts {
		want, ours := hooks[a.HookID]
		if !ours || a.Result == "success" {
			continue
		}
		if !a.Time.After(until) {
			j.switchedOff(a)
			continue
		}
		if why := want.changed(a); why != "" {
			found = append(found, sign{a.HookID, a.Time, why})
		}
		if at, off := j.switchedOff(a); off {
			found = append(found, sign{a.HookID, at, "Kazoo's record shows enough failures to switch the hook off"})
		}
	}
	return found
}

// switchedOff counts an attempt. It reports whether Kazoo has switched the hook off
// by then, and the time of the first failure that counted. After that Kazoo's count
// starts again.
func (j *judge) switchedOff(a crossbar.Attempt) (from time.Time, off bool) {
	if j.recent == nil {
		j.recent = map[string][]time.Time{}
	}
	list := append(since(j.recent[a.HookID], a.Time.Add(-failureSpan-time.Second)), a.Time) // attempts are timed to the second
	if len(list) >= failureLimit {
		delete(j.recent, a.HookID)
		return list[0], true
	}
	j.recent[a.HookID] = list
	return time.Time{}, false
}

// changed returns the setting of the hook that differed from ours when the attempt
// was made; "" if none did.
func (w wantedHook) changed(a crossbar.Attempt) string {
	const words = "Kazoo's record shows that the hook's setting %s was different"
	said := func(field string) string { return strings.Replace(words, "%s", field, 1) }
	switch {
	case a.URI != "" && !w.ours(a.URI):
		return said(uriField)
	case a.Method != "" && a.Method != w.Verb:
		return said("http_verb")
	case a.HookEvent != "" && a.HookEvent != w.Hook.Hook:
		return said("hook")
	}
	return ""
}

// ours reports whether the URI is one that we gave the hook.
func (w wantedHook) ours(uri string) bool {
	if uri == w.URI {
		return true
	}
	for _, d := range w.uris {
		if d == digest(uri) {
			return true
		}
	}
	got, err := url.Parse(uri)
	want, werr := url.Parse(w.URI)
	return err == nil && werr == nil && got.Host == want.Host && got.Scheme == want.Scheme && w.accepts(uri)
}
