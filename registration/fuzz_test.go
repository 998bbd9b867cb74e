package registration

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
)

// FuzzFiring: a recorded attempt with any content becomes an event or an error, and no
// message about it contains the secret of its URI.
func FuzzFiring(f *testing.F) {
	f.Add("http://h/kazoo/SECRET/object", `["id=5","&",["account_id=","a"],"&action=doc_deleted&type=user"]`, "", "{failed_connect,[{to_address,{\"h\",80}},econnrefused]}", "", int64(1_700_000_000))
	f.Add("http://h/base/kazoo/SECRET/channel_create", `"{\"a\":1}"`, "404", "", "POST http://h/kazoo/SECRET/object failed", int64(0))
	f.Add("http://h/kazoo/SECRET", `[104,[105]]`, "302", "http://h/kazoo/SECRET/x timeout", "bad", int64(-62167219200))
	f.Add("http://h%2Fkazoo%2FSECRET%2Fobject", `{}`, "", "tls_alert http://h%2Fkazoo%2FSECRET%2Fobject", "", int64(1<<40))
	f.Add("://", ``, "x", "closed", "", int64(1))
	f.Fuzz(func(t *testing.T, uri, body, status, clientError, reason string, at int64) {
		a := crossbar.Attempt{
			HookID: "h", HookEvent: "object", URI: uri, Method: "post", Body: json.RawMessage(body), Time: time.Unix(at, 0).UTC(),
			Status: status, ClientError: clientError, Reason: reason, Header: map[string]string{"content-type": "application/x-www-form-urlencoded"},
		}
		now := time.Unix(1_800_000_000, 0)
		r := NewRecoverer(nil, nil, RecoverOptions{})
		r.note([]crossbar.Attempt{a, a}, now)
		if len(r.firings) != 1 {
			t.Fatalf("%d firings", len(r.firings))
		}
		firing := r.firings[firingKey{"h", ""}]
		_ = firing.verdict(now)
		rec, err := firing.record(now, []string{"SECRET"})
		if err == nil && (rec.Source != event.SourceRecovered || rec.ReceivedAt.After(now) || rec.Event == "") {
			t.Fatalf("%+v", rec)
		}
		said := Explain(a)
		if said == "" {
			t.Fatal("no words")
		}
		for _, text := range []string{clientError, reason} {
			if i := strings.Index(text, "/kazoo/SECRET/"); i >= 0 && strings.Contains(said, "/kazoo/SECRET/") {
				t.Fatalf("%q", said)
			}
		}
		if len(madeUpID(a)) != len("unnamed-")+16 {
			t.Fatal(madeUpID(a))
		}
	})
}
