package delivery

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTemplates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{{.event}} {{.seq}} {{.event_id}}`:                            `channel.destroy 42 01ARZ3NDEKTSV4RRFFQ69G5FAV`,
		`{{.object_name}}|{{.data.missing}}|{{.data.missing.deeper}}`:  `||`,
		`{{.data.nothing}}|{{with .data.nothing}}x{{else}}none{{end}}`: `|none`,
		`{{.data.duration_seconds}} {{.data.ratio}} {{.data.flag}}`:    `61 0.5 true`,
		`{{.data.big}}`: `123456789012345678901234567890`,
		`{{if gt .data.duration_seconds 60}}long{{end}}{{if eq .event "channel.destroy"}}!{{end}}`:    `long!`,
		`{{range .data.items}}{{.n}}{{$.event}},{{end}}`:                                              `1channel.destroy,2channel.destroy,3channel.destroy,`,
		`{{range $i, $t := .data.tags}}{{$i}}={{$t}} {{end}}`:                                         `0=a 1=b 2=c `,
		`{{json .data.tags}} {{json .data.custom_channel_vars}}`:                                      `["a","b","c"] {"owner_id":"5f1e"}`,
		`{{json .data.missing}} {{json "<a & b>"}}`:                                                   `null "<a & b>"`,
		`{{.data.caller_id_number | printf "%q"}}`:                                                    `"+15551234567"`,
		`{{$x := .event}}{{$x}}{{/* a comment */}}`:                                                   `channel.destroy`,
		`{{define "who"}}{{.owner_id}}{{.nobody}}{{end}}{{template "who" .data.custom_channel_vars}}`: `5f1e`,
		`{{with .data}}{{.call_id}}{{end}}`:                                                           `a@b`,
		`{{index .data "caller_id_number"}}{{index .data "missing"}}`:                                 `+15551234567`,
		`{{urlquery .data.call_id}} {{len .data.tags}}`:                                               `a%40b 3`,
		`{{range .data.tags}}{{else}}none{{end}}{{range .data.missing}}x{{else}}none{{end}}`:          `none`,
		`plain`: `plain`,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			r, err := newRendering("body", text)
			if err != nil {
				t.Fatal(err)
			}
			fields, err := fieldsOf(received(t, jsonType, callBody))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got, err := r.render(fields)
				if err != nil || string(got) != want {
					t.Errorf("got %q, %v, want %q", got, err, want)
				}
			}
		})
	}
}

func TestTemplatesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{{.event`:              "body:1: unclosed action",
		`{{nofunction .event}}`: `function "nofunction" not defined`,
		`{{.evnt}}`:             "body:1:2: no event has the field evnt; there are event, ",
		`{{range .data.items}}{{$.obect_id}}{{end}}`:                "no event has the field obect_id",
		`{{if .events}}{{end}}`:                                     "no event has the field events",
		`{{with .data}}{{else}}{{.dta}}{{end}}`:                     "no event has the field dta",
		`{{printf "%s" (index (.dta) "x")}}`:                        "no event has the field dta",
		`{{template "absent"}}`:                                     "for each event",
		`{{.event.name}}`:                                           "for each event",
		`{{index .data.list 3}}`:                                    "for each event",
		`{{range 10000000}}{{end}}`:                                 "a loop has too many rounds",
		`{{define "a"}}{{template "a" .}}{{end}}{{template "a" .}}`: "exceeded maximum template depth",
		`{{range 500000}}xxx{{end}}`:                                "the text is longer than 1048576 bytes",
		strings.Repeat(" ", maxTemplate+1):                          "are more than 65536",
	} {
		t.Run(cut(text, 40), func(t *testing.T) {
			t.Parallel()
			_, problems := Compile(Settings{Name: "a", Type: TypeHTTP, Body: text, HTTP: &HTTPSettings{URL: "http://localhost"}, Events: []string{"user.deleted"}})
			if len(problems) != 1 || problems[0].Place != "body" || !strings.Contains(problems[0].Err.Error(), want) {
				t.Errorf("got %v, want %q", problems, want)
			}
		})
	}
}

// TestTemplateThatFailsForSome: a template that fails for some samples gets a warning.
// Its error says that no later attempt can succeed.
func TestTemplateThatFailsForSome(t *testing.T) {
	t.Parallel()
	d := compiled(t, Settings{Body: `{{if eq .event "user.deleted"}}{{index .data.tags 7}}{{end}}ok`})
	if len(d.Warnings) != 1 || !strings.HasPrefix(d.Warnings[0], "body: it fails for user.deleted, which become dead letters: ") {
		t.Errorf("warnings %q", d.Warnings)
	}
	if _, err := d.Message(received(t, formType, deletedUser)); !errors.Is(err, ErrTemplate) || !strings.HasPrefix(err.Error(), ErrTemplate.Error()+": body:1:") {
		t.Errorf("error %v", err)
	}
	if m, err := d.Message(received(t, jsonType, callBody)); err != nil || string(m.Body) != "ok" || m.ContentType != "text/plain; charset=utf-8" {
		t.Errorf("got %+v, %v", m, err)
	}
}

// TestSlackMessage checks the example of the documentation.
func TestSlackMessage(t *testing.T) {
	t.Parallel()
	d := compiled(t, Settings{Events: []string{"user.deleted"}, Body: `{"text": {{printf "User *%s* of account %s was deleted" (or .object_name .object_id) .account_id | json}}}`})
	if len(d.Warnings) > 0 {
		t.Errorf("warnings %q", d.Warnings)
	}
	e := received(t, formType, deletedUser)
	for name, want := range map[string]string{
		`Ann "The <Boss>" Lee` + "\n": `User *Ann "The <Boss>" Lee` + "\n" + `* of account c0ffee00aa11bb22cc33dd44ee55ff66 was deleted`,
		"":                            "User *5f1e2d3c4b5a69788796a5b4c3d2e1f0* of account c0ffee00aa11bb22cc33dd44ee55ff66 was deleted",
	} {
		e.ObjectName = name
		m, err := d.Message(e)
		if err != nil || m.ContentType != "application/json" {
			t.Fatalf("%+v, %v", m, err)
		}
		var got map[string]string
		if err := json.Unmarshal(m.Body, &got); err != nil || !reflect.DeepEqual(got, map[string]string{"text": want}) {
			t.Errorf("got %s, %v", m.Body, err)
		}
	}
}

// FuzzTemplate: any template ends, and its output is bounded.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{`{{json .}}`, `{{range .data}}{{.}}{{end}}`, `{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`, `{{range 1000000000}}{{continue}}{{end}}`, `{{printf "%999999d" 1}}`} {
		f.Add(text, callBody)
	}
	f.Fuzz(func(t *testing.T, text, body string) {
		r, err := newRendering("body", text)
		if err != nil {
			return
		}
		fields, err := fieldsOf(received(t, jsonType, body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.renderWithin(2*time.Second, fields) // a fuzzer takes ten for a hang
		if len(got) > maxBody || err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}
