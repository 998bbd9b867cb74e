package crossbar

import (
	"encoding/json"
	"io"
	"net"
	"syscall"
	"testing"
)

func TestErrorText(t *testing.T) {
	t.Parallel()
	detail := func(s string) json.RawMessage { return newSecrets().detail(json.RawMessage(s)) }
	for name, tc := range map[string]struct {
		e    Error
		want string
	}{
		"validation": {
			Error{Op: opHooksCreate, Method: "PUT", URL: "http://k:8000/v2/accounts/a/webhooks", Status: 400, Code: "400", Message: "validation error", RequestID: "r1",
				Detail: detail(`{"uri":{"error":{"message":"invalid client URL","value":"https://x/kazoo/s3cretS3cret/object"}},"custom_data.type":{"required":{"message":"missing required modifier"}}}`)},
			`creating a hook (PUT http://k:8000/v2/accounts/a/webhooks) failed: 400 validation error: custom_data.type: missing required modifier; uri: invalid client URL (value "https://x/kazoo/***/object") [request id r1]`,
		},
		"enum": {
			Error{Op: opHooksSet, Status: 400, Detail: detail(`{"custom_data.action":{"enum":{"message":"value not found in enumerated list of values","cause":"all","target":["doc_created"]}}}`)},
			`replacing a hook failed: 400 custom_data.action: value not found in enumerated list of values (cause "all", target ["doc_created"])`,
		},
		"odd details":   {Error{Op: opHooksGet, Status: 400, Detail: detail(`{"a":1,"b":{"c":2,"d":{}}}`)}, `reading a hook failed: 400 a: 1; b: c 2; b: d`},
		"text detail":   {Error{Op: opHooksGet, Status: 500, Detail: detail(`"datastore fault"`)}, `reading a hook failed: 500 datastore fault`},
		"message":       {Error{Op: opHooksGet, Status: 404, Message: "not found", Detail: detail(`{"message":"it is gone"}`)}, `reading a hook failed: 404 not found: it is gone`},
		"said twice":    {Error{Op: opHooksGet, Status: 404, Message: "not found", Detail: detail(`{"message":"not found"}`)}, `reading a hook failed: 404 not found`},
		"attempts":      {Error{Op: opOffered, Status: 503, Message: "down", Attempts: 7}, `asking which hooks Kazoo offers failed: 503 down [7 attempts]`},
		"unknown op":    {Error{Op: "x", Status: 418}, `calling Kazoo's API failed: 418`},
		"429":           {Error{Op: opOffered, Status: 429}, `asking which hooks Kazoo offers failed: 429; Kazoo's request budget is used up, perhaps by others at the same address: lower KAZOO_API_RATE`},
		"api key":       {Error{Op: opLogin, Status: 404, URL: "http://k/v2/api_auth", Method: "PUT"}, `logging in to Kazoo (PUT http://k/v2/api_auth) failed: 404; Kazoo does not know this KAZOO_API_KEY`},
		"path":          {Error{Op: opLogin, Status: 404}, `logging in to Kazoo failed: 404; there is no login at this address: does KAZOO_API_URL hold a path that is not Crossbar's? /v2 is added to it`},
		"password":      {Error{Op: opLogin, Status: 401}, `logging in to Kazoo failed: 401; check KAZOO_USERNAME and KAZOO_PASSWORD (or KAZOO_CREDENTIALS), KAZOO_HASH (md5 or sha1), and KAZOO_ACCOUNT_NAME or KAZOO_ACCOUNT_REALM, the account in which the user is: Kazoo doesn't say which of them is wrong`},
		"refused":       {Error{Op: opLogin, Err: errRefused}, `logging in to Kazoo failed: dial tcp: connection refused; nothing listens there: check host and port in KAZOO_API_URL, and whether Kazoo is running`},
		"dns":           {Error{Op: opLogin, Err: &net.DNSError{Err: "no such host", Name: "k"}}, `logging in to Kazoo failed: lookup k: no such host; the host name in KAZOO_API_URL cannot be resolved: check its spelling and the DNS server`},
		"route":         {Error{Op: opLogin, Err: syscall.EHOSTUNREACH}, `logging in to Kazoo failed: no route to host; there is no route to Kazoo: check the network`},
		"timeout":       {Error{Op: opLogin, Err: ErrTimeout}, `logging in to Kazoo failed: no answer in time; Kazoo is down or slow, or a firewall drops our packets`},
		"other network": {Error{Op: opLogin, Err: io.ErrUnexpectedEOF}, `logging in to Kazoo failed: unexpected EOF`},
	} {
		if got := tc.e.Error(); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tc.want)
		}
	}
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"refused for this account":   {&Error{Op: opObjectsGet, Status: 403}, true},
		"a fault within Kazoo":       {&Error{Op: opObjectsGet, Status: 500}, true},
		"malformed":                  {&Error{Op: opObjectsGet, Status: 200, Code: CodeMalformed}, true},
		"another service's page":     {&Error{Op: opObjectsGet, Status: 502, Code: CodeNotJSON}, false},
		"no answer":                  {&Error{Op: opObjectsGet, Err: errRefused}, false},
		"the login":                  {&Error{Op: opLogin, Status: 500}, false},
		"the token":                  {&Error{Op: opObjectsGet, Status: 401}, false},
		"Kazoo's budget is used up":  {&Error{Op: opObjectsGet, Status: 429}, false},
		"not an error of the API":    {io.EOF, false},
		"no error, so not of object": {nil, false},
	} {
		if IsOfObject(tc.err) != tc.want {
			t.Errorf("%s: of the object alone: %t", name, !tc.want)
		}
	}
	if IsNotFound(nil) || IsNotFound(io.EOF) || IsUnauthorized(nil) || IsUnauthorized(io.EOF) {
		t.Error("another error counts as not found or unauthorized")
	}
}
