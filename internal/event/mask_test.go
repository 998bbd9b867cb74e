package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// marked is a secret that no output may show.
const marked = "S3CR3T-marked"

func TestIsSecret(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		"password", "Password", "PASSWORD", "sip_password", "password_reset_link", "passwd", "account_api_key", "api_key",
		"apikey", "API-Key", "auth_token", "X-Auth-Token", "access_token", "refresh_token", "token", "credentials",
		"client_secret", "secret", "sha256_key", "pin", "PIN", "pins", "access_pin", "accessPin", "conference-pins",
		"authorization", "Set-Cookie", "pvt_md5_auth", "pvt_sha1_auth", "private_key", "clear passphrase", "pwd",
	} {
		if !isSecret(key) {
			t.Errorf("%q is not secret", key)
		}
	}
	for _, key := range []string{
		"", "hmac", "name", "id", "spin", "spins", "pinned", "shipping", "key", "keys", "token_cost", "auth_user_id",
		"authorizing_id", "caller_id_name", "timestamp", "compass", "pi", "passed", "ключ",
	} {
		if isSecret(key) {
			t.Errorf("%q is secret", key)
		}
	}
}

// TestFieldsThatMeanASecretAreOfThatKind: fields are masked by their kind, so the
// kind must agree with the key.
func TestFieldsThatMeanASecretAreOfThatKind(t *testing.T) {
	t.Parallel()
	for typ, p := range planned.byType {
		for _, f := range p.fields {
			if isSecret(f.key) != (f.kind == kindSecret) {
				t.Errorf("%v: %s", typ, f.key)
			}
		}
	}
}

// secretBodies are deliveries with marked in every place where a secret may be.
func secretBodies() map[string]Request {
	inText := strings.ReplaceAll(`[{"user":"a","password":"M"},{"x":[{"api_key":["M",{"y":"M"}]}]}]`, "M", marked)
	twice, _ := json.Marshal(map[string]string{"inner": inText})
	escaped := func(s string) string { return string(appendEscaped(nil, s)) }
	return map[string]Request{
		"flat":                form("notifications", "event_name=new_user&event_category=notification&password="+marked+"&x=1"),
		"upper case":          form("", "Password="+marked),
		"nested":              form("", "a[b][password]="+marked),
		"below":               form("", "a[password][b][c]="+marked),
		"array":               form("", "pins[]="+marked+"&pins[]="+marked),
		"array in the middle": form("", "a[pins][]="+marked),
		"escaped key":         form("", "%70assword="+marked),
		"odd key":             form("", "a[password]]="+marked+"&a[password="+marked),
		"escaped value":       form("", "auth_token=%53"+marked),
		"JSON in a form":      form("", "items="+escaped(inText)),
		"JSON in an array":    form("", "items[]="+escaped(inText)+"&items[]=1"),
		"raw JSON in a form":  form("", "items="+inText),
		"JSON twice over":     form("", "items="+escaped(string(twice))),
		"broken JSON":         form("", "items="+escaped(inText[:len(inText)-3])),
		"repeated":            form("", "password="+marked+"&password="+marked),
		"colliding":           form("", "password="+marked+"&password[x]="+marked),
		"beyond the pairs":    form("", strings.Repeat("a=1&", MaxPairs)+"password="+marked+"&z=2"),
		"too deep":            form("", "password"+strings.Repeat("[x]", 90)+"="+marked),
		"v2":                  form("object", "action=event&name=doc_edited&data[id]=u&data[type]=user&data[doc][password]="+marked+"&password="+marked),
		"JSON in a field":     form("sms", "id=1&from=a&to=b&body="+escaped(inText)+"&charges="+escaped(inText)),
		"JSON in a list":      form("notifications", "event_category=notification&event_name=outbound_smtp_fax_error&errors[]="+escaped(inText)),
		"JSON in JSON":        jsonBody("sms", `{"id":"1","from":"a","to":"b","type":"sms","body":`+quoted(inText)+`,"charges":`+quoted(inText)+`}`),
		"byte order mark":     jsonBody("", "\ufeff"+`{"a":"b=c","password":"`+marked+`"}`+"\r\n"),
		"form as JSON":        jsonBody("", "a=b&password="+marked),
		"garbage as JSON":     jsonBody("", `x {"a":"b=c","password":"`+marked+`"}`),
		"list as JSON":        jsonBody("", `[{"a":"b=c","password":"`+marked+`"}]`),
		"v2 JSON": jsonBody("object", `{"action":"event","name":"doc_edited","data":{"id":"u","type":"user","doc":{"password":"`+marked+`"}},
			"custom":{"api_key":["`+marked+`",{"z":"`+marked+`"}],"pin":12345,"ok":"fine"}}`),
		"JSON":                jsonBody("", `{"password":"`+marked+`","a":[{"auth_token" : "`+marked+`"}]}`),
		"JSON, escaped key":   jsonBody("", `{"p\u0061ssword":"`+marked+`"}`),
		"JSON in JSON fields": jsonBody("", `{"items":`+quoted(inText)+`}`),
		"JSON thrice":         jsonBody("", `{"items":`+quoted(string(twice))+`}`),
		"JSON six times":      jsonBody("", `{"items":`+quoted(wrapped(wrapped(wrapped(wrapped(string(twice))))))+`}`),
		"deep JSON":           jsonBody("", `{"a":`+strings.Repeat("[", 200)+`{"password":"`+marked+`"}`+strings.Repeat("]", 200)+`}`),
		"truncated JSON":      jsonBody("", `{"a":1,"password":"`+marked),
		"truncated, hidden":   jsonBody("", `{"a":1,"\u0070assw\u006frd":"`+marked),
		"not JSON":            jsonBody("", `password=`+marked),
		"JSON as form":        form("", `{"password":"`+marked+`"}`),
		"JSON array":          jsonBody("", `[{"password":"`+marked+`"}]`),
		"JSON, repeated":      jsonBody("", `{"password":"`+marked+`","password":{"a":"`+marked+`"}}`),
	}
}

func quoted(s string) string { return string(appendString(nil, s)) }

func wrapped(s string) string { return `{"w":` + quoted(s) + `}` }

func TestSecretsNeverSurvive(t *testing.T) {
	t.Parallel()
	for name, d := range secretBodies() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := Decode(Route(d))
			for what, text := range map[string]string{
				"line":         string(e.AppendJSON(nil)),
				"masked body":  string(MaskBody(d.ContentType, d.Body)),
				"problems":     strings.Join(e.Problems, " "),
				"message":      e.Message(),
				"payload":      fmt.Sprintf("%v %+v %#v", e.Payload, e.Payload, e.Payload),
				"payload JSON": asJSON(t, e.Payload),
			} {
				if strings.Contains(text, marked[1:]) {
					t.Errorf("the %s shows the secret: %.200s", what, text)
				}
			}
		})
	}
}

func asJSON(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMaskBodyKeepsTheRest(t *testing.T) {
	t.Parallel()
	const formType, jsonType = "application/x-www-form-urlencoded", "application/json; charset=utf-8"
	tests := map[string]struct{ contentType, body, want string }{
		"form":          {formType, "&a=1&&password=x%26y&b[c]=%C3%A9&d&", "&a=1&&password=***&b[c]=%C3%A9&d&"},
		"query":         {"", "id=1&pin=1234", "id=1&pin=***"},
		"flag":          {formType, "metadata[is_password_expired]=false&x=1", "metadata[is_password_expired]=false&x=1"},
		"JSON in form":  {formType, "i[]=%7B%22pin%22%3A1%2C%22a%22%3A%22b+c%22%7D", "i[]=%7B%22pin%22%3A%22%2A%2A%2A%22%2C%22a%22%3A%22b+c%22%7D"},
		"clean JSON in": {formType, "i[]=%7b%22a%22%3a1%7D", "i[]=%7b%22a%22%3a1%7D"},
		"JSON":          {jsonType, "{ \"a\" : 1.50,\n \"pin\" : [1,{\"x\":2}], \"b\":\"\\u00e9\" }", "{ \"a\" : 1.50,\n \"pin\" : \"***\", \"b\":\"\\u00e9\" }"},
		"JSON flag":     {jsonType, `{"is_password_expired":false,"password":true}`, `{"is_password_expired":false,"password":"***"}`},
		"JSON value":    {jsonType, `{"a":"password","b":["pin"]}`, `{"a":"password","b":["pin"]}`},
		"JSON in JSON":  {jsonType, `{"a":"{\"pin\":\"1\",\"n\":2}"}`, `{"a":"{\"pin\":\"***\",\"n\":2}"}`},
		"promo text":    {formType, "body=%5B50%25+off%5D", "body=%5B50%25+off%5D"},
		"harmless text": {jsonType, "<html>Bad gateway</html>", "<html>Bad gateway</html>"},
		"suspect text":  {jsonType, "<html>password</html>", Masked},
		"empty":         {jsonType, "", ""},
		"empty form":    {formType, "", ""},
	}
	for name, tt := range tests {
		if got := string(MaskBody(tt.contentType, []byte(tt.body))); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}

func TestMaskBodyLeavesItsInputAlone(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"", "application/json"} {
		body := []byte("x")
		MaskBody(contentType, body)[0] = 'y'
		if string(body) != "x" {
			t.Errorf("%q: the input was changed", contentType)
		}
	}
}

func TestMaskBodyOfEveryVectorHidesItsSecrets(t *testing.T) {
	t.Parallel()
	for _, v := range sentVectors(t) {
		d := v.delivery(t)
		masked := string(MaskBody(d.ContentType, d.Body))
		for _, secret := range []string{"p%26%3D%2B%25%23%3B", "recovery%3Dab", "0123abcd&", `"0123abcd"`} {
			if strings.Contains(masked, secret) {
				t.Errorf("%s: %s", v.Name, masked)
			}
		}
		if strings.Contains(v.Name, "object") && !strings.Contains(v.Name, "with_query") && masked != string(d.Body) {
			t.Errorf("%s: changed without a secret: %s", v.Name, masked)
		}
	}
}
