package event

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

const testAccount = "c0ffee00aa11bb22cc33dd44ee55ff66"

func TestRouteNamesEveryVector(t *testing.T) {
	t.Parallel()
	for _, v := range loadVectors(t) {
		want := wantEvent(t, v)
		r := Route(v.delivery(t))
		if r.Event != want {
			t.Errorf("%s: event %q, want %q (%s)", v.Name, r.Event, want, r.Problem)
		}
		if (r.Event == Unknown) != (r.Problem != "") {
			t.Errorf("%s: event %q with problem %q", v.Name, r.Event, r.Problem)
		}
		if r.AccountID == "" {
			t.Errorf("%s: no account", v.Name)
		}
		if r.Event == Unknown {
			continue
		}
		if strings.Contains(v.Name, "_object_") && (r.ObjectID == "" || r.ObjectType == "" || r.Action == "") {
			t.Errorf("%s: object fields missing: %+v", v.Name, r)
		}
	}
}

var objectVector = regexp.MustCompile(`_object_(.+?)_doc_(created|edited|deleted)`)

// wantEvent derives the name of a vector's event from its own name and content.
func wantEvent(t *testing.T, v vector) string {
	_, name, _ := strings.Cut(v.Name, "_")
	switch {
	case strings.HasPrefix(name, "synthetic"),
		strings.HasSuffix(name, "uri_with_fragment_get"), // nothing after the '#' is sent
		strings.HasSuffix(name, "uri_with_query_get"):    // the id lands in another parameter
		return Unknown
	case strings.HasPrefix(name, "object"):
		m := objectVector.FindStringSubmatch(v.Name)
		return m[1] + "." + m[2]
	case strings.HasPrefix(name, "notification"):
		var e struct {
			EventName string `json:"event_name"`
			Name      string `json:"name"`
		}
		if err := json.Unmarshal(v.Expect, &e); err != nil {
			t.Fatal(err)
		}
		if v.Version == "v2" {
			return "notification." + e.Name
		}
		return "notification." + e.EventName
	case strings.HasPrefix(name, "cdr"):
		return "cdr"
	case strings.HasPrefix(name, "sms"), strings.HasPrefix(name, "mms"):
		return name[:3]
	}
	parts := strings.Split(name, "_")
	return parts[0] + "." + parts[1]
}

func form(hook, body string) Request {
	return Request{
		Source: SourceWebhook, Hook: hook, HookID: "h1", HookAccountID: "hookaccount",
		Method: "POST", ContentType: "application/x-www-form-urlencoded", Body: []byte(body),
	}
}

func jsonBody(hook, body string) Request {
	d := form(hook, body)
	d.ContentType = "application/json"
	return d
}

func TestRoute(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 80)
	tests := map[string]struct {
		d                            Request
		event, account, object, kind string
		rule                         Rule
	}{
		"deleted": {form("object", "id=u1&account_id=a1&action=doc_deleted&type=user"),
			"user.deleted", "a1", "u1", "user", RuleLifecycle},
		"edited": {form("object", "id=u1&account_id=a1&action=doc_edited&type=user"),
			"user.edited", "a1", "u1", "user", RuleUnacknowledged},
		"body over path": {form("notifications", "id=u1&account_id=a1&action=doc_created&type=user"),
			"user.created", "a1", "u1", "user", RuleLifecycle},
		"no path at all": {form("", "id=u1&account_id=a1&action=doc_created&type=user"),
			"user.created", "a1", "u1", "user", RuleLifecycle},
		"type in upper case": {form("object", "id=u1&account_id=a1&action=doc_created&type=USER"),
			"user.created", "a1", "u1", "user", RuleLifecycle},
		"no account": {form("object", "id=u1&action=doc_deleted&type=user"),
			"user.deleted", "hookaccount", "u1", "user", RuleLifecycle},
		"own account": {form("object", "id=acc9&action=doc_deleted&type=account"),
			"account.deleted", "acc9", "acc9", "account", RuleLifecycle},
		"no id": {form("object", "account_id=a1&action=doc_deleted&type=user"),
			Unknown, "a1", "", "", RuleUnacknowledged},
		"empty id": {form("object", "id=&account_id=a1&action=doc_deleted&type=user"),
			Unknown, "a1", "", "", RuleUnacknowledged},
		"no type": {form("object", "id=u1&account_id=a1&action=doc_deleted"),
			Unknown, "a1", "", "", RuleUnacknowledged},
		"unusable type": {form("object", "id=u1&account_id=a1&action=doc_deleted&type=us%22er"),
			Unknown, "a1", "", "", RuleUnacknowledged},
		"overlong type": {form("object", "id=u1&account_id=a1&action=doc_deleted&type="+long),
			Unknown, "a1", "", "", RuleUnacknowledged},
		"type that makes the name too long": {form("object", "id=u1&account_id=a1&action=doc_deleted&type="+long[:60]),
			Unknown, "a1", "", "", RuleUnacknowledged},
		"overlong id": {form("object", "id="+strings.Repeat("y", 600)+"&account_id=a1&action=doc_deleted&type=user"),
			Unknown, "a1", "", "", RuleUnacknowledged},
		"escaped brackets": {form("object", "action=event&name=doc_deleted&data%5Bid%5D=u1&data%5Btype%5D=user&data%5Baccount_id%5D=a1"),
			"user.deleted", "a1", "u1", "user", RuleLifecycle},
		"v2 account deletion on a v1 hook": {form("object", "action=event&name=doc_deleted&data[id]=acc9&data[type]=account&timestamp=63962778460"),
			"account.deleted", "acc9", "acc9", "account", RuleLifecycle},
		"v2 edit": {form("object", "action=event&name=doc_edited&data[id]=u1&data[type]=user&data[account_id]=a1&timestamp=1"),
			"user.edited", "a1", "u1", "user", RuleContent},
		"v2 channel account in its variables": {jsonBody("channel_create",
			`{"action":"event","name":"CHANNEL_CREATE","data":{"call_id":"c1","timestamp":5,"custom_channel_vars":{"account_id":"a1"}},"timestamp":6}`),
			"channel.create", "a1", "c1", "", RuleContent},
		"v2 channel, form": {form("channel_create", "action=event&name=CHANNEL_CREATE&data[call_id]=c1&data[timestamp]=5&data[custom_channel_vars][account_id]=a1&timestamp=6"),
			"channel.create", "a1", "c1", "", RuleContent},
		"v4 channel account in its variables": {jsonBody("channel_create",
			`{"hook_event":"channel_create","call_id":"c1","timestamp":5,"custom_channel_vars":{"Account-ID":"a1"}}`),
			"channel.create", "a1", "c1", "", RuleContent},
		"v2 sms": {jsonBody("sms", `{"action":"event","name":"sms","data":{"id":"m1","from":"+1","to":"+2","account_id":"a1"},"timestamp":6}`),
			"sms", "a1", "m1", "", RuleContent},
		"v2 sms under another name": {jsonBody("sms", `{"action":"event","name":"inbound","data":{"id":"m1","from":"+1","to":"+2","account_id":"a1"},"timestamp":6}`),
			"sms", "a1", "m1", "", RuleContent},
		"v2 of an unknown name": {jsonBody("object", `{"action":"event","name":"conference_start","data":{"account_id":"a1"},"timestamp":6}`),
			Unknown, "a1", "", "", RuleUnacknowledged},
		"v2 notification without a usable name": {jsonBody("notifications", `{"action":"event","name":"né","data":{"account_id":"a1"}}`),
			Unknown, "a1", "", "", RuleUnacknowledged},
		"v5 hold": {form("channel_hold", "hook_event=CHANNEL_HOLD&call_id=c1&timestamp=5&account_id=a1"),
			"channel.hold", "a1", "c1", "", RuleContent},
		"channel without timestamp": {form("channel_answer", "hook_event=channel_answer&call_id=c1&account_id=a1"),
			"channel.answer", "a1", "c1", "", RuleUnacknowledged},
		"channel by its path": {form("channel_answer", "call_id=c1&account_id=a1&timestamp=5"),
			"channel.answer", "a1", "c1", "", RuleContent},
		"channel hijacked by custom_data": {form("channel_create", "hook_event=channel_create&call_id=c1&timestamp=5&account_id=a1&type=user&action=doc_deleted"),
			"channel.create", "a1", "c1", "", RuleContent},
		"object hijacked by custom_data": {form("object", "id=u1&account_id=a1&action=doc_deleted&type=user&hook_event=channel_create&event_name=new_user"),
			"user.deleted", "a1", "u1", "user", RuleLifecycle},
		"cdr by its path": {form("cdr", "call_id=c1&account_id=a1&timestamp=5"),
			"cdr", "a1", "c1", "", RuleContent},
		"parking": {form("parking", "event_name=PARK_ABANDONED&call_id=c1&account_id=a1&timestamp=5"),
			"parking.abandoned", "a1", "c1", "", RuleContent},
		"parking that says nothing": {form("parking", "call_id=c1&account_id=a1&timestamp=5"),
			Unknown, "a1", "c1", "", RuleUnacknowledged},
		"notification with type all": {form("notifications", "event_name=new_user&event_category=notification&type=all&account_id=a1&msg_id=m1"),
			"notification.new_user", "a1", "", "", RuleContent},
		"notification without category": {form("notifications", "event_name=new_user&account_id=a1&msg_id=m1"),
			"notification.new_user", "a1", "", "", RuleContent},
		"notification elsewhere": {form("object", "event_name=new_user&event_category=notification&account_id=a1&msg_id=m1&action=doc_deleted&type=user&id=x"),
			"notification.new_user", "a1", "", "", RuleContent},
		"notification without msg_id": {form("notifications", "event_name=new_user&event_category=notification&account_id=a1"),
			"notification.new_user", "a1", "", "", RuleUnacknowledged},
		"notification of an unusable name": {form("notifications", "event_name=new%20user&event_category=notification&account_id=a1&msg_id=m1"),
			Unknown, "a1", "", "", RuleUnacknowledged},
		"sms hijacked by custom_data": {form("sms", "id=m1&account_id=a1&type=user&action=doc_deleted&from=%2B1&to=%2B2&body=x"),
			"sms", "a1", "m1", "", RuleContent},
		"mms by type": {form("sms", "id=m1&account_id=a1&type=mms&from=%2B1&to=%2B2&body=x"),
			"mms", "a1", "m1", "", RuleContent},
		"sms elsewhere": {form("", "id=m1&account_id=a1&type=sms&from=%2B1&to=%2B2&body=x"),
			"sms", "a1", "m1", "", RuleContent},
		"sms without id": {form("mms", "account_id=a1&from=%2B1&to=%2B2&body=x"),
			"mms", "a1", "", "", RuleUnacknowledged},
		"stream stop": {form("stream", "event_name=stream_stop&stream_id=s1&call_id=c1&timestamp=5&account_id=a1"),
			"stream.stop", "a1", "c1", "", RuleContent},
		"stream by its type": {form("stream", "type=stream_start&stream_id=s1&call_id=c1&timestamp=5&account_id=a1"),
			"stream.start", "a1", "c1", "", RuleContent},
		"stream without a name": {form("stream", "event_name=stream_&stream_id=s1&account_id=a1"),
			Unknown, "a1", "", "", RuleUnacknowledged},
		"empty":                      {form("object", ""), Unknown, "hookaccount", "", "", RuleUnacknowledged},
		"callflow webhook":           {anonymous(form("mine", "foo=bar")), Unknown, "hookaccount", "", "", RuleUnacknowledged},
		"another application's hook": {form("qubicle_queue", "queue_id=q1&account_id=a1"), "qubicle_queue", "a1", "", "", RuleUnacknowledged},
		"another application's hook, by hook_event": {form("qubicle", "hook_event=Qubicle_Queue_Join&account_id=a1"),
			"qubicle_queue_join", "a1", "", "", RuleUnacknowledged},
		"another application's hook, JSON": {jsonBody("Qubicle_Queue", `{"call_id":"c1","n":1}`), "qubicle_queue", "hookaccount", "c1", "", RuleUnacknowledged},
		"another application's hook, version 2": {jsonBody("conference", `{"action":"event","name":"conference_start","data":{"account_id":"a1"},"timestamp":6}`),
			"conference", "a1", "", "", RuleUnacknowledged},
		"another hook, known hook_event":            {form("mine", "hook_event=object&x=1"), "mine", "hookaccount", "", "", RuleUnacknowledged},
		"another hook, empty":                       {form("qubicle_queue", ""), Unknown, "hookaccount", "", "", RuleUnacknowledged},
		"another hook, no pair":                     {form("qubicle_queue", "what is this"), Unknown, "hookaccount", "", "", RuleUnacknowledged},
		"another hook, empty object":                {jsonBody("qubicle_queue", `{}`), Unknown, "hookaccount", "", "", RuleUnacknowledged},
		"another hook, broken JSON":                 {jsonBody("qubicle_queue", `{"a":`), Unknown, "hookaccount", "", "", RuleUnacknowledged},
		"another hook, no name":                     {form("%41..%42", "a=1"), Unknown, "hookaccount", "", "", RuleUnacknowledged},
		"another hook, a name with a dot":           {form("user.deleted", "a=1"), Unknown, "hookaccount", "", "", RuleUnacknowledged},
		"another hook that is unknown":              {form("unknown", "a=1"), Unknown, "hookaccount", "", "", RuleUnacknowledged},
		"old doc hook":                              {form("doc", "hook_event=doc&id=u1&account_id=a1&action=doc_updated&type=user"), "user.edited", "a1", "u1", "user", RuleUnacknowledged},
		"doc hook, deleted":                         {form("doc", "hook_event=doc&id=u1&account_id=a1&action=doc_deleted&type=user"), "user.deleted", "a1", "u1", "user", RuleLifecycle},
		"a form that ends with a line":              {form("object", "id=u1&account_id=a1&action=doc_deleted&type=user\r\n"), "user.deleted", "a1", "u1", "user", RuleLifecycle},
		"a form under JSON's type":                  {jsonBody("object", "id=u1&account_id=a1&action=doc_deleted&type=user"), "user.deleted", "a1", "u1", "user", RuleLifecycle},
		"JSON with a byte order mark":               {jsonBody("object", "\ufeff"+`{"id":"u1","account_id":"a1","action":"doc_deleted","type":"user"}`), "user.deleted", "a1", "u1", "user", RuleLifecycle},
		"JSON with a byte order mark, sent as form": {form("object", "\ufeff"+`{"id":"u1","account_id":"a1","action":"doc_deleted","type":"user"}`), "user.deleted", "a1", "u1", "user", RuleLifecycle},
		"broken JSON":                               {jsonBody("object", `{"id":"u1"`), Unknown, "hookaccount", "", "", RuleUnacknowledged},
		"JSON, no object":                           {jsonBody("object", `[1]`), Unknown, "hookaccount", "", "", RuleUnacknowledged},
		"JSON sent as form":                         {form("object", `{"id":"u1","account_id":"a1","action":"doc_deleted","type":"user"}`), "user.deleted", "a1", "u1", "user", RuleLifecycle},
		"JSON with escapes": {jsonBody("object", ` {"id":"uÿ\n","account_id":"a1","action":"doc_deleted","type":"user","x":[1,{"id":"no"}],"n":null} `),
			"user.deleted", "a1", "uÿ\n", "user", RuleLifecycle},
		"first of two": {form("object", "id=u1&id=u2&account_id=a1&action=doc_deleted&type=user"),
			"user.deleted", "a1", "u1", "user", RuleLifecycle},
		"resync": {Request{Source: SourceResync, Hook: "object", Method: "POST", ContentType: "application/json",
			Body: []byte(`{"id":"u1","account_id":"a1","action":"doc_deleted","type":"user","object_name":"Ann Lee","username":"ann"}`)},
			"user.deleted", "a1", "u1", "user", RuleLifecycle},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Route(tt.d)
			if r.Event != tt.event || r.AccountID != tt.account || r.ObjectID != tt.object ||
				r.ObjectType != tt.kind || r.Dedupe.Rule != tt.rule {
				t.Errorf("got event %q account %q object %q type %q rule %d (%s)",
					r.Event, r.AccountID, r.ObjectID, r.ObjectType, r.Dedupe.Rule, r.Problem)
			}
			if (r.Event == Unknown) != (r.Problem != "") {
				t.Errorf("event %q with problem %q", r.Event, r.Problem)
			}
		})
	}
}

func TestRouteAllocatesLittle(t *testing.T) {
	for _, name := range []string{
		"k4m_object_user_doc_deleted", "k5_object_user_doc_deleted", "k4m_channel_create_form",
		"k43_notification_register", "k5_object_account_doc_deleted_hijacked_v2_form", "k4m_sms_inbound_form",
		"k5_channel_create_v2_form", "k5_cdr_v2_form", "k5_stream_start_v2_form",
	} {
		d := vectorNamed(t, name).delivery(t)
		if n := testing.AllocsPerRun(100, func() { Route(d) }); n > 5 {
			t.Errorf("%s: %v allocations, want at most 5", name, n)
		}
	}
}
