package dedupe_test

import (
	"strings"
	"testing"
)

// The cases below tell stories of one user (32 hexadecimal digits) unless a step
// names another object. Each step is one of these:
//
//	created:1        a request came: it is event 1, and its 200 was written
//	created=1        a request came: it is a duplicate of event 1
//	edited!:1        the same, but the 200 could not be written
//	edited?:1        the same, but nobody knows yet whether the 200 was written
//	refused/edited   a request was answered 503 and not stored
//	late/edited:1    a request was answered 503, and its event committed afterwards
//	f1/edited@-5m:1  firing f1, whose last try failed 5 minutes ago, was recovered
//	p1/edited:1      the request came from a trusted proxy, with the X-Request-Id p1
//	hidden/edited    HOOKS doesn't name the event: it has no number
//	wrong/deleted:1  the request's signature is wrong
//	found 404        a look-up that was sent just now answers
//	wanted           the object waits for a look-up; wanted- it doesn't
//	ask answer       a look-up is sent; the one that was sent finds the object
//	listed           a listing shows the object
//	missing:1        a comparison misses the object and Kazoo answers 404 for it
//	missing-         the same, but there is nothing to report
//	+90s             time passes
//	wall-1h          the wall clock is set back
//	crash            the process dies and starts again
//	a:...            the step is about the media prompt of account a (likewise b)
//	hook2:...        the request is of another hook
//	call:...         the step is about a call, whose content is unique
func cases() map[string]string {
	return map[string]string{
		// Creations and deletions are judged by what is known of the object.
		"one life":                                "created:1 edited:2 deleted:3",
		"created twice":                           "created:1 +1s created=1",
		"deleted twice, much later":               "deleted:1 +4800h deleted=1",
		"deletion of an unknown object":           "deleted:1",
		"creation repeated after the deletion":    "created!:1 +1s deleted:2 +1s created=1 deleted=2",
		"creation repeated a day later":           "created:1 +1h deleted:2 +24h created=1",
		"edited before the deletion":              "edited:1 +1h deleted:2 +1h deleted=2",
		"creation overtaken by the deletion":      "deleted:1 +30s created:2 +1s deleted=1 created=2",
		"answer lost":                             "deleted!:1 +2s deleted=1 +2m deleted=1",
		"answer unknown, crash":                   "deleted?:1 crash +5s deleted=1",
		"wall clock set back, deletion repeated":  "deleted:1 wall-1h deleted=1 wall-1h +1h deleted=1",
		"hidden creation, then deleted":           "hidden/created hidden/edited deleted:1 deleted=1",
		"hidden creation twice, then made public": "hidden/created created=0 edited:1",

		// A trusted proxy tries a request again with the same X-Request-Id.
		"proxy tries again, the first answer lost":       "p1/edited!:1 p1/edited=1 edited:2",
		"proxy tries again at once, answer unknown":      "p1/edited?:1 p1/edited=1",
		"proxy tries again, the node was killed":         "p1/edited?:1 crash p1/edited=1 +5s p2/edited:2",
		"proxy tries again, although it was answered":    "p1/edited:1 p1/edited=1 p1/edited=1",
		"two requests of one proxy":                      "p1/edited:1 p2/edited:2 p1/edited=1",
		"the proxy's id comes with another object":       "p1/edited:1 p1/a:edited:2",
		"Kazoo resends what the proxy could not deliver": "p1/edited!:1 +3s p2/edited=1 p2/edited=1 p3/edited:2",
		"answered once, and the proxy lost all answers":  "p1/edited:1 p1/edited!=1 +3s p2/edited:2",
		"the late try of a slow node changes nothing":    "p1/edited!:1 p1/edited=1 p1/edited!=1 p2/edited:2 +3s p3/edited:3",
		"a deletion is judged by its object":             "p1/deleted:1 p2/deleted=1",
		"the proxy's tries and Kazoo's record":           "p1/edited!:1 p1/edited!=1 f1/edited@-1s=1 f2/edited@-1s:2",

		// A sign of life after the deletion leads to a look-up. Only the look-up
		// decides, or another deletion more than a minute after the sign.
		"deleted, restored (which shows as an edit), deleted":    "deleted:1 +10m edited:2 +61s deleted:3 deleted=3",
		"restored by a hidden edit, deleted":                     "deleted:1 +10m hidden/edited +61s deleted:2",
		"restored, deleted within the minute before any look-up": "deleted:1 +10m edited:2 +30s deleted=1",
		"restored, found, deleted at once":                       "deleted:1 +10m edited:2 found deleted:3",
		"edit overtaken by the deletion":                         "deleted:1 +1s edited:2 404 +1h deleted=1",
		"creation overtaken while the API is away":               "deleted:1 +2m created:2 +6h 404 deleted=1 missing-",
		"creation overtaken, deletion repeated much later":       "deleted:1 +30s created:2 404 +4h deleted=1",
		"lagging view":                                              "created:1 deleted:2 +2m listed 404 +2m listed 404 deleted=2 missing-",
		"lagging view, nobody looked":                               "created:1 deleted:2 +2m listed +2m deleted=2 missing-",
		"restored, found by a listing":                              "created:1 deleted:2 +2m listed found deleted:3",
		"restored, found by a listing, missing":                     "created:1 deleted:2 +2m listed found missing:3 deleted=3",
		"answer older than the deletion":                            "created:1 ask deleted:2 answer deleted=2 missing-",
		"answer older than the second deletion":                     "deleted:1 +10m edited:2 ask +61s deleted:3 answer deleted=3",
		"answer between restoring and a deletion within the minute": "deleted:1 +10m edited:2 ask +30s deleted=1 answer missing:3",
		"not found, and nothing else":                               "created:1 404 +1h deleted:2",
		"not found, hook off, found missing":                        "created:1 404 +1h missing:2 deleted=2",
		"missing, then an event":                                    "listed missing:1 +1m deleted=1",
		"edited only, missing":                                      "edited:1 missing:2",
		"deleted while the listing was read":                        "listed ask deleted:1 missing-",

		// A recovered creation or deletion happened when its last try failed.
		"recovered":                                     "created:1 f1/deleted@-1h:2 deleted=2 missing-",
		"recovered although it arrived":                 "deleted:1 f1/deleted@-3s=1 f2/deleted@-3h=1 +3h f3/deleted@0s=1",
		"recovered twice":                               "created:1 +1h f1/deleted@-1h:2 f1/deleted@-1h=2 f2/deleted@-50m=2 deleted=2",
		"recovered with a time that is hours wrong":     "created:1 +3h edited:2 f1/deleted@-2h:3 404 deleted=3 missing-",
		"recovered by a node whose clock is slow":       "created:1 +10m f1/deleted@-17m:2 404 deleted=2 missing-",
		"recovered by a node whose clock is fast":       "created:1 +10m f1/deleted@7m:2 +1h deleted=2",
		"first try failed, clock slow":                  "created:1 +10m edited:2 +20m deleted:3 f1/deleted@-1h=3",
		"recovered right before its creation":           "created:1 f1/deleted@-1s:2 +1h deleted=2",
		"recovered before the object was restored":      "created:1 +3h edited:2 f1/deleted@-2h:3 deleted:4",
		"recovered before restoring and a new deletion": "created:1 +3h edited:2 +1m deleted:3 f1/deleted@-2h:4 deleted=3",
		"a whole life recovered":                        "f1/created@-3m:1 f2/edited@-2m:2 f3/deleted@-1m:3 missing-",
		"deleted, restored and deleted, all recovered":  "created:1 +1h f1/deleted@-9m:2 f2/edited@-8m:3 f3/deleted@-5m:4",
		"repeats a deletion from before restoring":      "created:1 +1h deleted:2 +4h edited:3 found +61m f1/deleted@-3h=2 wanted- f2/deleted@0s:4",

		// A recovered deletion may be older or newer than the return of its object.
		// Until Kazoo was asked, it counts as the known deletion: a living object must
		// not be reported as deleted.
		"returned, node's clock fast":                 "deleted:1 +5m edited:2 found +1m f1/deleted@40m=1 wanted found wanted- deleted:3",
		"returned, node's clock slow":                 "deleted:1 +5m edited:2 found +1m f1/deleted@-45m=1 wanted 404 missing:3",
		"returned and deleted again, recovered":       "deleted:1 +5m edited:2 found +9m f1/deleted@-1m=1 wanted 404 missing:3 deleted=3",
		"returned, asked before it was recovered":     "deleted:1 +5m edited:2 found +9m edited:3 ask f1/deleted@-1m=1 answer wanted",
		"returned, a listing still shows it":          "deleted:1 +5m edited:2 found +9m f1/deleted@-1m=1 listed wanted",
		"returned long ago, deleted again, recovered": "deleted:1 +5m edited:2 found +3h f1/deleted@-1m:3 wanted-",
		"never deleted, recovered":                    "created:1 found +1m f1/deleted@-30s:2",
		"recovered creation after the deletion":       "+1h deleted:1 f1/created@-1m:2 +1h deleted=1",
		"recovered creation of one that is known":     "created:1 f1/created@-1h=1 +1h f2/created@0s=1 deleted:2 f3/created@-30m=1",
		"edit from before the deletion, recovered":    "created:1 +3h deleted:2 f1/edited@-2h:3 +2h deleted=2",

		// Ids of media prompts are reused, and are the same in every account.
		"prompts of two accounts":              "a:created:1 b:created:2 a:deleted:3 b:deleted:4 a:deleted=3",
		"prompt created again":                 "a:created:1 a:deleted:2 a:created:3 a:created=3 a:found a:deleted:4",
		"prompt created again, not looked":     "a:created:1 a:deleted:2 +1h a:created:3 +61s a:deleted:4",
		"prompt's creation repeated late":      "a:created:1 a:deleted:2 a:created:3 +1h a:created=3",
		"prompt's earlier deletion, recovered": "+9h a:created:1 +1s a:deleted:2 f1/a:created@-3h=1 f2/a:deleted@-2h:3",
		"prompt's echo, recovered":             "a:created:1 +1h a:deleted:2 +3h a:created:3 a:found f1/a:deleted@-2h=2",

		// A request whose signature is wrong may be anybody's. It is an event, but
		// changes neither what is known of the object nor what becomes of others.
		"wrong deletion, then the real one":          "created:1 wrong/deleted:2 deleted:3 deleted=3 wrong/deleted=2",
		"wrong deletion, the real one recovered":     "created:1 wrong/deleted:2 f1/deleted@-1s:3 f1/deleted@-1s=3",
		"wrong deletion, the real one found missing": "created:1 wrong/deleted:2 missing:3 wrong/deleted=2",
		"wrong deletion, nothing deleted":            "created:1 404 wrong/deleted:2 wanted- listed edited:3 +1h deleted:4",
		"wrong deletion after the real one":          "created:1 deleted:2 wrong/deleted:3 deleted=2 +24h wrong/deleted=3",
		"wrong creation, then the real one":          "wrong/created:1 created:2 created=2 wrong/created=1 deleted:3",
		"wrong creation of nothing":                  "wrong/created:1 wrong/created=1 missing- wanted-",
		"wrong signs of life after the deletion":     "deleted:1 +2m wrong/created:2 wrong/edited:3 wanted- +2m deleted=1",
		"wrong edits are compared with each other":   "wrong/edited:1 wrong/edited:2 wrong/edited!:3 +3s edited:4 wrong/edited=3",
		"a wrong edit is no try of another":          "edited!:1 +3s wrong/edited:2 edited=1",
		"a wrong edit is not what failed":            "wrong/edited!:1 f1/edited@-1s:2",
		"wrong call, then the real one":              "wrong/call:created:1 call:created:2 wrong/call:created=1 call:created=2",
		"prompts: a wrong deletion of one":           "a:created:1 wrong/a:deleted:2 wrong/b:deleted:3 a:created=1 a:deleted:4",

		// Without unique content, two real edits have identical bytes.
		"two edits":                                 "edited:1 edited:2 edited:3",
		"edits that arrive together":                "edited?:1 +1s edited?:2",
		"answer lost, repeated":                     "edited!:1 +2s edited=1 +1s edited:2",
		"answer lost again and again":               "edited!:1 +12s edited!=1 +12s edited!=1 +12s edited!=1 +12s edited=1 edited:2",
		"two answers lost":                          "edited?:1 edited?:2 fails/1 fails/2 +1s edited=1 edited=2 edited:3",
		"answer lost, too long ago":                 "edited!:1 +61s edited:2",
		"being answered for Kazoo's pause":          "edited?:1 +2s edited=1",
		"being answered for too long":               "edited?:1 +61s edited:2",
		"each request absorbs one repeat at a time": "edited!:1 +3s edited?=1 edited:2",
		"refused in between":                        "edited!:1 +40s refused/edited +40s refused/edited +40s edited=1",
		"another hook":                              "edited!:1 hook2:edited:2",
		"answer unknown, crash: a new event":        "edited?:1 crash +5s edited:2",
		"answer lost, then a crash":                 "edited!:1 crash +5s edited=1",
		"committed after its 503, repeated at once": "late/edited:1 +1s edited=1 edited:2",
		"committed after its 503, crash":            "late/edited:1 crash +2s edited=1",
		"answer lost, clock set back":               "edited!:1 wall-1h +2s edited=1 edited:2",
		"being answered, clock set back":            "edited?:1 wall-1h +1s edited:2",
		"being answered, clock set forward":         "edited?:1 wall+1h +1s edited:2",

		// Two firings are two events. A firing stands for one stored request whose
		// 200 was not written.
		"two edits 1.5 s apart, both lost":                   "f1/edited@-2m:1 f2/edited@-118s:2 f1/edited@-2m=1 f2/edited@-118s=2",
		"two edits 1.5 s apart, answers lost":                "edited!:1 +1500ms edited!=1 +2m f1/edited@-2m=1 f2/edited@-118s:2",
		"edit answered, another one lost":                    "edited:1 f1/edited@-1s:2",
		"recovered edit, same firing":                        "edited!:1 +1m f1/edited@-1m=1 f1/edited@-1m=1 f2/edited@-1m:2",
		"recovered edit, crash before the outcome was known": "edited?:1 crash +1m f1/edited@-1m=1 f2/edited@-30s:2",
		"edit lost half an hour after a crash":               "edited?:1 crash +1h f1/edited@-30m:2",
		"answer lost, node's clock slow":                     "edited!:1 +1m f1/edited@-8m=1",
		"answer lost last week":                              "edited!:1 +168h f1/edited@-5m:2",
		"a firing that has ended absorbs nothing":            "edited!:1 f1/edited@0s=1 +5s edited:2",
		"a recovered event absorbs nothing":                  "f1/edited@-5s:1 edited:2",

		// Unique content is recognised after any time.
		"call repeated":            "call:created:1 +24h call:created=1 crash call:created=1",
		"call answered":            "call:created?:1 call:created=1",
		"call recovered":           "call:created:1 f1/call:created@-1h=1",
		"call recovered, repeated": "f1/call:created@-1h:1 call:created=1",
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	for name, story := range cases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory()
			for step := range strings.FieldsSeq(story) {
				if err := s.do(step); err != nil {
					t.Fatalf("%s\nstep %s: %v", story, step, err)
				}
			}
		})
	}
}

// TestStoriesCanFail proves that a step with a wrong expectation fails.
func TestStoriesCanFail(t *testing.T) {
	t.Parallel()
	for _, story := range []string{
		"created=1", "created:1 created:2", "created:1 created=2", "created:2", "deleted:1 missing:2", "listed missing-",
		"edited!:1 edited:2", "f1/edited@-1m:1 f1/edited@-1m:2", "p1/edited:1 p1/edited:2", "p1/edited:1 p2/edited=1", "nonsense", "created", "+never", "f1/edited:1", "fails/1",
	} {
		err := error(nil)
		s := newStory()
		for step := range strings.FieldsSeq(story) {
			if err = s.do(step); err != nil {
				break
			}
		}
		if err == nil {
			t.Errorf("%s: no error", story)
		}
	}
}
