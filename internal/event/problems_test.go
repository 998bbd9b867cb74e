package event

import (
	"fmt"
	"strings"
	"testing"
)

func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	for i := range 50 {
		fmt.Fprintf(&body, "k%02d=1&k%02d=2&", i, i)
	}
	e := Decode(Route(form("", body.String())))
	if n := len(e.Problems); n != maxProblems+1 || e.Problems[n-1] != "35 more problems" {
		t.Errorf("%d problems: %q", n, e.Problems)
	}
	long := strings.Repeat("é", 200)
	e = Decode(Route(form("", long+"=1&"+long+"=2")))
	if p := e.Problems[1]; len(p) > 200 {
		t.Errorf("a long key is quoted in full: %s", p)
	}
}

func TestMisfitsAreNamedNotQuoted(t *testing.T) {
	t.Parallel()
	e := Decode(Route(jsonBody("notifications", `{"event_category":"notification","event_name":"inbound_fax","msg_id":["x"],
		"fax_timestamp":"`+marked+`","fax_info":{"fax_success":"maybe","fax_bad_rows":1.5,"fax_result_text":{"a":1},"fax_total_pages":true},
		"errors":[{"a":1}],"timestamp":99999999999999999999,"node":null,"call_id":7,"fax_error":true}`)))
	want := []string{
		`the value of "fax_bad_rows" is not a whole number`,
		`the value of "fax_result_text" is not a text`,
		`the value of "fax_success" is not true or false`,
		`the value of "fax_timestamp" is not a whole number`,
		`the value of "fax_total_pages" is not a whole number`,
		`the value of "timestamp" is not a whole number`,
	}
	check(t, "problems", e.Problems, want)
	f, _ := e.Payload.(*Fax)
	if f == nil || f.CallID != nil || f.FaxError != nil || f.Timestamp != nil || f.Info == nil || f.Info.Success != nil {
		t.Errorf("payload %+v", f)
	}
	if e.Data["fax_timestamp"] != marked {
		t.Error("the value that does not fit is missing")
	}
}

func TestNumbersThatJSONWritesOtherwiseStayText(t *testing.T) {
	t.Parallel()
	for text, fits := range map[string]bool{
		"0": true, "-1": true, "63900000123": true, "9223372036854775807": true, "9223372036854775808": false,
		"": false, "-": false, "007": false, "-0": false, "+1": false, "1.0": false, "1e3": false, " 1": false, "0x1": false,
	} {
		if _, got := integer(text); got != fits {
			t.Errorf("integer(%q) = %v", text, got)
		}
	}
}

func TestEnvelopeOddities(t *testing.T) {
	t.Parallel()
	e := Decode(Route(jsonBody("notifications", `{"action":"event","name":"x","data":{"envelope":1,"_envelope":2},"timestamp":3,"tenant":"t"}`)))
	check(t, "collision", string(appendObject(nil, e.Data)), `{"__envelope":{"name":"x","tenant":"t","timestamp":3},"_envelope":2,"envelope":1}`)
	e = Decode(Route(form("notifications", "action=event&name=x&data=y&timestamp=3")))
	check(t, "no object", string(appendObject(nil, e.Data)), `{"envelope":{"data":"y","name":"x","timestamp":3}}`)
	e = Decode(Route(form("notifications", "action=event&name=x&timestamp=3&hmac=abc")))
	check(t, "empty data", string(appendObject(nil, e.Data)), `{"envelope":{"hmac":"abc","name":"x","timestamp":3}}`)
	if e.Envelope == nil || of(e.Envelope.HMAC) != "abc" || of(e.Envelope.Timestamp) != 3 {
		t.Errorf("envelope %+v", e.Envelope)
	}
}
