package event

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"github.com/gorilla/schema"
	"github.com/rs/zerolog"
)

var benchBodies = []struct{ name, vector string }{
	{"object6", "k4m_object_user_doc_deleted_custom_data"}, // 7 pairs
	{"channel30", "k4m_channel_create_form"},               // 33 pairs
	{"notification", "k5_notification_register"},
	{"object_json", "k4m_object_user_doc_deleted_post_json"},
	{"channel_json", "k4m_channel_create_json"},
	{"object_v2", "k5_object_user_doc_deleted_v2_hmac_form"},
}

func BenchmarkRoute(b *testing.B) {
	for _, body := range benchBodies {
		d := vectorNamed(b, body.vector).delivery(b)
		b.Run(body.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(d.Body)))
			for b.Loop() {
				Route(d)
			}
		})
	}
}

// BenchmarkHandWritten is the baseline for Route: one pass over the body that
// unescapes every value, without names, rules or keys.
func BenchmarkHandWritten(b *testing.B) {
	for _, body := range benchBodies[:3] {
		d := vectorNamed(b, body.vector).delivery(b)
		b.Run(body.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(d.Body)))
			for b.Loop() {
				handWritten(string(d.Body))
			}
		})
	}
}

// handWritten unescapes the first 40 values of a form.
func handWritten(body string) (fields [40]string) {
	for n := 0; body != "" && n < len(fields); n++ {
		segment := body
		if i := strings.IndexByte(body, '&'); i >= 0 {
			segment, body = body[:i], body[i+1:]
		} else {
			body = ""
		}
		_, value, _ := strings.Cut(segment, "=")
		fields[n] = unescape(value)
	}
	return fields
}

func BenchmarkSplitForm(b *testing.B) {
	for _, body := range benchBodies[:3] {
		raw := vectorNamed(b, body.vector).body(b)
		b.Run(body.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				splitForm(raw)
			}
		})
	}
}

// BenchmarkSchema decodes with url.ParseQuery and gorilla/schema.
func BenchmarkSchema(b *testing.B) {
	decoder := schema.NewDecoder()
	decoder.IgnoreUnknownKeys(true)
	for _, body := range benchBodies[:2] {
		raw := string(vectorNamed(b, body.vector).body(b))
		b.Run(body.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				values, err := url.ParseQuery(raw)
				if err != nil {
					b.Fatal(err)
				}
				if body.name == "object6" {
					err = decoder.Decode(&Object{}, values)
				} else {
					err = decoder.Decode(&Channel{}, values)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, body := range benchBodies {
		r := Route(vectorNamed(b, body.vector).delivery(b))
		b.Run(body.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Decode(r)
			}
		})
	}
}

func BenchmarkLogLine(b *testing.B) {
	for _, body := range benchBodies[:3] {
		e := Decode(Route(vectorNamed(b, body.vector).delivery(b)))
		var w bytes.Buffer
		log := zerolog.New(&w)
		b.Run(body.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.Reset()
				log.Info().EmbedObject(e).Msg(e.Message())
			}
		})
	}
}

func BenchmarkMaskBody(b *testing.B) {
	for _, body := range benchBodies {
		d := vectorNamed(b, body.vector).delivery(b)
		b.Run(body.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				MaskBody(d.ContentType, d.Body)
			}
		})
	}
}
