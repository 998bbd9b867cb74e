package event

import (
	"fmt"
	"time"
)

// Samples returns one event of each kind in the table of families, as if it had
// been received, to test templates and expressions.
func Samples() []Record {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	var samples []Record
	for _, f := range families {
		for i := range f.kinds {
			k := &f.kinds[i]
			d := Request{
				Source: SourceWebhook, ReceivedAt: at, Hook: k.hook, HookID: "2f5d3e1c9b8a47768594a3b2c1d0e0f1",
				HookAccountID: "c0ffee00aa11bb22cc33dd44ee55ff66", Method: "POST",
				ContentType: "application/x-www-form-urlencoded", Body: []byte(k.sample),
			}
			if k.sample != "" && k.sample[0] == '{' {
				d.ContentType = "application/json"
			}
			if f == owns {
				d = Request{Source: SourceReceiver, ReceivedAt: at, ContentType: d.ContentType, Body: d.Body}
			}
			r := Route(d)
			r.Seq = int64(len(samples) + 1)
			r.ID = fmt.Sprintf("01KDY0SAMPLE%014d", r.Seq)
			if r.Action != "" {
				r.Known = Known{Name: "Ann Lee"}
			}
			samples = append(samples, r)
		}
	}
	return samples
}
