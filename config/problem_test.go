package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// complete is the smallest environment that is valid for every group.
func complete() map[string]string {
	return map[string]string{
		"KAZOO_API_URL":      "https://kazoo.example.com:8443",
		"KAZOO_USERNAME":     "reception",
		"KAZOO_PASSWORD":     "correct horse",
		"KAZOO_ACCOUNT_NAME": "Example",
		"PUBLIC_URL":         "https://hooks.example.com",
	}
}

// with returns complete with changes. An empty value removes a variable.
func with(changes ...string) []string {
	env := complete()
	for _, c := range changes {
		k, v, _ := strings.Cut(c, "=")
		env[k] = v
	}
	lines := make([]string, 0, len(env))
	for k, v := range env {
		lines = append(lines, k+"="+v)
	}
	return lines
}

// messages returns the message of each problem of err.
func messages(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatalf("not Problems: %v", err)
	}
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.Error()
	}
	return out
}

// TestRules has a case for each rule, with the exact message.
func TestRules(t *testing.T) {
	t.Parallel()
	const (
		use        = `use the address under which Kazoo reaches this service, e.g. https://hooks.example.com`
		path       = `holds a ? or #; use a URL that a path can be added to, e.g. https://example.com/base`
		rewritten  = `holds // or a segment . or .. in its path, which proxies rewrite; leave it out`
		absolute   = `is not an absolute http or https URL; use e.g. https://example.com:8443`
		addr       = `is not an address to listen on; use host:port or :port, e.g. :8080 or 127.0.0.1:9090`
		size       = `is not a size; use a number with a unit, e.g. 500MiB or 2GiB, or off`
		dur        = `is not a duration; use numbers with units, e.g. 30s, 10m or 6h`
		rate       = `is out of range; use more than 0 and at most 10 requests a second, which is all that Kazoo grants`
		mark       = `is not a valid name; use 1 to 64 printable characters without spaces`
		deletions  = `is not a number of deletions; use a whole number from 1, or auto for the larger of 20 and 10 %`
		anyHook    = `use hook[:type[:action]] with the hook object, notifications, stream, all, channel_create, channel_answer, channel_bridge, channel_destroy, parking, sms, mms, cdr or another one of the cluster's`
		anyType    = `has no valid type; use one of all, account, call_recording, callflow, device, fax, faxbox, mailbox_message, media, user, vmbox`
		anyAction  = `has no valid action; use one of all, doc_created, doc_edited, doc_deleted`
		twoLogins  = `KAZOO_API_KEY: is given together with a user's login; use either KAZOO_API_KEY or KAZOO_USERNAME and KAZOO_PASSWORD or KAZOO_CREDENTIALS`
		publicURL  = "PUBLIC_URL: "
		noUser     = "KAZOO_USERNAME="
		noPassword = "KAZOO_PASSWORD="
	)
	md5, key := strings.Repeat("0a", 16), strings.Repeat("k", 64)
	long := strings.Repeat("x", 65)
	for name, c := range map[string]struct {
		env  []string
		want []string
	}{
		"complete":               {nil, nil},
		"API URL missing":        {[]string{"KAZOO_API_URL="}, []string{`KAZOO_API_URL: is missing; give the base URL of Kazoo's API, e.g. https://kazoo.example.com:8443`}},
		"API URL relative":       {[]string{"KAZOO_API_URL=kazoo.example.com/v2"}, []string{`KAZOO_API_URL: "kazoo.example.com/v2" ` + absolute}},
		"API URL scheme":         {[]string{"KAZOO_API_URL=ftp://kazoo.example.com"}, []string{`KAZOO_API_URL: "ftp://kazoo.example.com" ` + absolute}},
		"API URL no host":        {[]string{"KAZOO_API_URL=http://:8000"}, []string{`KAZOO_API_URL: "http://:8000" ` + absolute}},
		"API URL garbage":        {[]string{"KAZOO_API_URL=http://[::1"}, []string{`KAZOO_API_URL: "http://[::1" is not a URL; use e.g. https://example.com:8443`}},
		"API URL port":           {[]string{"KAZOO_API_URL=http://kazoo:0"}, []string{`KAZOO_API_URL: "http://kazoo:0" has no valid port; use 1 to 65535`}},
		"API URL empty port":     {[]string{"KAZOO_API_URL=http://kazoo:"}, []string{`KAZOO_API_URL: "http://kazoo:" has no valid port; use 1 to 65535`}},
		"API URL user":           {[]string{"KAZOO_API_URL=http://me:hunter2@kazoo:8000"}, []string{`KAZOO_API_URL: "http://***@kazoo:8000" holds a user name or password; leave them out of the URL`}},
		"API URL broken + user":  {[]string{"KAZOO_API_URL=http://me:hun%ter2@kazoo:8000"}, []string{`KAZOO_API_URL: "http://***@kazoo:8000" is not a URL; use e.g. https://example.com:8443`}},
		"URL without scheme":     {[]string{"PUBLIC_URL=me:hunter2@example.com"}, []string{publicURL + `"***@example.com" ` + absolute}},
		"public URL missing":     {[]string{"PUBLIC_URL="}, []string{publicURL + `is missing; ` + use}},
		"public URL query":       {[]string{"PUBLIC_URL=https://h.example.com/?"}, []string{publicURL + `"https://h.example.com/?" ` + path}},
		"public URL fragment":    {[]string{"PUBLIC_URL=https://h.example.com/#"}, []string{publicURL + `"https://h.example.com/#" ` + path}},
		"public URL with ..":     {[]string{"PUBLIC_URL=https://h.example.com/a/../b"}, []string{publicURL + `"https://h.example.com/a/../b" ` + rewritten}},
		"public URL with .":      {[]string{"PUBLIC_URL=https://h.example.com/%2e/b"}, []string{publicURL + `"https://h.example.com/%2e/b" ` + rewritten}},
		"public URL with //":     {[]string{"PUBLIC_URL=https://h.example.com//b"}, []string{publicURL + `"https://h.example.com//b" ` + rewritten}},
		"API URL with ..":        {[]string{"KAZOO_API_URL=https://h.example.com/a/.."}, []string{`KAZOO_API_URL: "https://h.example.com/a/.." ` + rewritten}},
		"public URL localhost":   {[]string{"PUBLIC_URL=http://localhost:8080"}, []string{publicURL + `"http://localhost:8080" is refused by Kazoo; ` + use}},
		"public URL LOCALHOST.":  {[]string{"PUBLIC_URL=http://LOCALHOST.:8080"}, []string{publicURL + `"http://LOCALHOST.:8080" is refused by Kazoo; ` + use}},
		"public URL loopback":    {[]string{"PUBLIC_URL=http://127.9.9.9"}, []string{publicURL + `"http://127.9.9.9" is refused by Kazoo; ` + use}},
		"public URL unspecified": {[]string{"PUBLIC_URL=http://0.0.0.0:8080"}, []string{publicURL + `"http://0.0.0.0:8080" is refused by Kazoo; ` + use}},
		"public URL ::1":         {[]string{"PUBLIC_URL=http://[::1]:8080"}, []string{publicURL + `"http://[::1]:8080" is refused by Kazoo; ` + use}},
		"public URL mapped":      {[]string{"PUBLIC_URL=http://[::ffff:127.0.0.1]"}, []string{publicURL + `"http://[::ffff:127.0.0.1]" is refused by Kazoo; ` + use}},
		"public URL IPv6":        {[]string{"PUBLIC_URL=http://[2001:db8::1]"}, []string{publicURL + `"http://[2001:db8::1]" is an IPv6 address and Kazoo posts over IPv4 only; ` + use}},
		"development":            {[]string{"PUBLIC_URL=http://127.0.0.1:8080", "KAZOO_API_URL=http://localhost:8000/v2"}, nil},
		"no login":               {[]string{noUser, noPassword}, []string{`KAZOO_USERNAME: is missing; give KAZOO_USERNAME and KAZOO_PASSWORD, or KAZOO_CREDENTIALS, or KAZOO_API_KEY`}},
		"user and key":           {[]string{"KAZOO_API_KEY=" + key}, []string{twoLogins}},
		"credentials and key":    {[]string{noUser, noPassword, "KAZOO_CREDENTIALS=" + md5, "KAZOO_API_KEY=" + key}, []string{twoLogins}},
		"user and credentials":   {[]string{"KAZOO_CREDENTIALS=" + md5}, []string{`KAZOO_CREDENTIALS: is given together with KAZOO_USERNAME or KAZOO_PASSWORD; use one or the other`}},
		"password without user":  {[]string{noUser}, []string{`KAZOO_USERNAME: is missing; KAZOO_PASSWORD needs it`}},
		"user without password":  {[]string{noPassword}, []string{`KAZOO_PASSWORD: is missing; KAZOO_USERNAME needs it`}},
		"no account":             {[]string{"KAZOO_ACCOUNT_NAME="}, []string{`KAZOO_ACCOUNT_NAME: is missing; give KAZOO_ACCOUNT_NAME or KAZOO_ACCOUNT_REALM of the account to log in to`}},
		"name and realm":         {[]string{"KAZOO_ACCOUNT_REALM=sip.example.com"}, []string{`KAZOO_ACCOUNT_REALM: "sip.example.com" is given together with KAZOO_ACCOUNT_NAME; use one of them`}},
		"realm":                  {[]string{"KAZOO_ACCOUNT_NAME=", "KAZOO_ACCOUNT_REALM=sip.example.com"}, nil},
		"credentials":            {[]string{noUser, noPassword, "KAZOO_CREDENTIALS=" + md5}, nil},
		"credentials length":     {[]string{noUser, noPassword, "KAZOO_CREDENTIALS=" + md5, "KAZOO_HASH=SHA1"}, []string{`KAZOO_CREDENTIALS: "***" is no sha1 digest; use the 40 lower-case hexadecimal digits of the digest of username:password, or change KAZOO_HASH`}},
		"credentials not hex":    {[]string{noUser, noPassword, "KAZOO_CREDENTIALS=" + strings.Repeat("x", 32)}, []string{`KAZOO_CREDENTIALS: "***" is no md5 digest; use the 32 lower-case hexadecimal digits of the digest of username:password, or change KAZOO_HASH`}},
		"credentials upper case": {[]string{noUser, noPassword, "KAZOO_CREDENTIALS=" + strings.ToUpper(md5)}, []string{`KAZOO_CREDENTIALS: "***" is no md5 digest; use the 32 lower-case hexadecimal digits of the digest of username:password, or change KAZOO_HASH`}},
		"hash":                   {[]string{"KAZOO_HASH=sha256"}, []string{`KAZOO_HASH: "sha256" is not known; use md5 or sha1`}},
		"API key":                {[]string{noUser, noPassword, "KAZOO_ACCOUNT_NAME=", "KAZOO_API_KEY=" + key}, nil},
		"API key length":         {[]string{noUser, noPassword, "KAZOO_API_KEY=abc"}, []string{`KAZOO_API_KEY: "***" has 3 characters; Kazoo's keys have 64`}},
		"account id":             {[]string{"KAZOO_ACCOUNT_ID=123"}, []string{`KAZOO_ACCOUNT_ID: "123" is not an account id; use its 32 lower-case hexadecimal digits`}},
		"rate zero":              {[]string{"KAZOO_API_RATE=0"}, []string{`KAZOO_API_RATE: "0" ` + rate}},
		"rate high":              {[]string{"KAZOO_API_RATE=10.5"}, []string{`KAZOO_API_RATE: "10.5" ` + rate}},
		"rate NaN":               {[]string{"KAZOO_API_RATE=NaN"}, []string{`KAZOO_API_RATE: "NaN" ` + rate}},
		"rate word":              {[]string{"KAZOO_API_RATE=fast"}, []string{`KAZOO_API_RATE: "fast" is not a number; use more than 0 and at most 10, e.g. 5 or 0.5`}},
		"CA file missing":        {[]string{"KAZOO_CA_FILE=/nonexistent.pem"}, []string{`KAZOO_CA_FILE: "/nonexistent.pem" can't be read: no such file or directory`}},
		"CA file no PEM":         {[]string{"KAZOO_CA_FILE=config.go"}, []string{`KAZOO_CA_FILE: "config.go" holds no certificate; use a file of PEM certificates`}},
		"bool":                   {[]string{"KAZOO_INSECURE_TLS=maybe"}, []string{`KAZOO_INSECURE_TLS: "maybe" is neither true nor false; use true or false`}},
		"secret short":           {[]string{"HOOK_SECRET=short"}, []string{`HOOK_SECRET: "***" is too short; use at least 16 characters`}},
		"secret not URL-safe":    {[]string{"HOOK_SECRET=0123456789abcdef/"}, []string{`HOOK_SECRET: "***" can't stand in a URL; use only the characters A-Z a-z 0-9 . _ ~ -`}},
		"previous short":         {[]string{"HOOK_SECRET_PREVIOUS=short"}, []string{`HOOK_SECRET_PREVIOUS: "***" is too short; use at least 16 characters`}},
		"previous equal":         {[]string{"HOOK_SECRET=0123456789abcdef", "HOOK_SECRET_PREVIOUS=0123456789abcdef"}, []string{`HOOK_SECRET_PREVIOUS: "***" equals HOOK_SECRET; give the former secret, or leave it out`}},
		"self check":             {[]string{"SELF_CHECK=often"}, []string{`SELF_CHECK: "often" is neither on nor off; use on or off`}},
		"hook unknown":           {[]string{"HOOKS=Users"}, []string{`HOOKS: "Users" is not the name of a hook; ` + anyHook}},
		"hooks two unknown":      {[]string{"HOOKS=sms,Object:user,x-y"}, []string{`HOOKS: "Object:user" is not the name of a hook; ` + anyHook, `HOOKS: "x-y" is not the name of a hook; ` + anyHook}},
		"hook format":            {[]string{"HOOK_FORMAT=xml"}, []string{`HOOK_FORMAT: "xml" is not known; use auto, form-data or json`}},
		"hmac":                   {[]string{"KAZOO_HMAC=on"}, []string{`KAZOO_HMAC: "on" is not known; use auto or off`}},
		"hooks empty":            {[]string{"HOOKS= , "}, []string{`HOOKS: names no hook; use hook[:type[:action]], e.g. object:user:doc_deleted`}},
		"hook type":              {[]string{"HOOKS=object:User"}, []string{`HOOKS: "object:User" ` + anyType}},
		"hook empty type":        {[]string{"HOOKS=object::doc_deleted"}, []string{`HOOKS: "object::doc_deleted" ` + anyType}},
		"hook action":            {[]string{"HOOKS=object:user:deleted"}, []string{`HOOKS: "object:user:deleted" ` + anyAction}},
		"hook four parts":        {[]string{"HOOKS=object:user:all:x"}, []string{`HOOKS: "object:user:all:x" has too many parts; use object[:type[:action]]`}},
		"channel with type":      {[]string{"HOOKS=channel_create:all"}, []string{`HOOKS: "channel_create:all" has too many parts; channel_create takes neither type nor action`}},
		"notification action":    {[]string{"HOOKS=notifications:fax:all"}, []string{`HOOKS: "notifications:fax:all" has too many parts; notifications takes a type and no action`}},
		"notification type":      {[]string{"HOOKS=notifications:New User"}, []string{`HOOKS: "notifications:New User" has no valid type; use a name in lower case, e.g. new_user, or all`}},
		"hook twice":             {[]string{"HOOKS=sms,object:user,object:user:all"}, []string{`HOOKS: "object:user:all" is given twice; every event would come twice`}},
		"hook covered":           {[]string{"HOOKS=object:user:doc_deleted,object:all:doc_deleted"}, []string{`HOOKS: "object:user:doc_deleted" is part of "object:all:doc_deleted"; leave one of them out, or its events would come twice`}},
		"hooks overlap":          {[]string{"HOOKS=object:user,object:all:doc_deleted"}, []string{`HOOKS: "object:all:doc_deleted" overlaps "object:user:all"; leave one of them out or name the types and actions, or events would come twice`}},
		"hooks fine":             {[]string{"HOOKS=object:user:doc_deleted, object:user:doc_created ,channel_hold,notifications,stream:start,parking,sms,mms,cdr"}, nil},
		"retries high":           {[]string{"HOOK_RETRIES=5"}, []string{`HOOK_RETRIES: "5" is out of range; Kazoo accepts 0 to 4`}},
		"retries negative":       {[]string{"HOOK_RETRIES=-1"}, []string{`HOOK_RETRIES: "-1" is out of range; Kazoo accepts 0 to 4`}},
		"retries word":           {[]string{"HOOK_RETRIES=three"}, []string{`HOOK_RETRIES: "three" is not a whole number; use 0 to 4`}},
		"name with space":        {[]string{"HOOK_NAME=kazoo hook"}, []string{`HOOK_NAME: "kazoo hook" ` + mark}},
		"name long":              {[]string{"HOOK_NAME=" + long}, []string{`HOOK_NAME: "` + long + `" ` + mark}},
		"name unprintable":       {[]string{"HOOK_NAME=a\tb"}, []string{`HOOK_NAME: "a\tb" ` + mark}},
		"duration word":          {[]string{"RECONCILE_INTERVAL=soon"}, []string{`RECONCILE_INTERVAL: "soon" ` + dur}},
		"duration without unit":  {[]string{"RESYNC_INTERVAL=30"}, []string{`RESYNC_INTERVAL: "30" ` + dur}},
		"duration short":         {[]string{"RECONCILE_INTERVAL=10ms"}, []string{`RECONCILE_INTERVAL: "10ms" is too short; use 1s or more`}},
		"duration negative":      {[]string{"RESYNC_INTERVAL=-6h"}, []string{`RESYNC_INTERVAL: "-6h" is too short; use 1s or more`}},
		"retention zero":         {[]string{"JOURNAL_RETENTION=0"}, []string{`JOURNAL_RETENTION: "0s" is too short; use 1s or more`}},
		"shutdown short":         {[]string{"SHUTDOWN_TIMEOUT=1ms"}, []string{`SHUTDOWN_TIMEOUT: "1ms" is too short; use 1s or more`}},
		"interval word":          {[]string{"ACCOUNTS_INTERVAL=never"}, []string{`ACCOUNTS_INTERVAL: "never" is not a duration; use numbers with units, e.g. 30s, 10m or 6h, or off`}},
		"interval too short":     {[]string{"ACCOUNTS_INTERVAL=10ms"}, []string{`ACCOUNTS_INTERVAL: "10ms" is too short; use 1s or more, or off`}},
		"deletions word":         {[]string{"RESYNC_MAX_DELETIONS=10%"}, []string{`RESYNC_MAX_DELETIONS: "10%" ` + deletions}},
		"deletions negative":     {[]string{"RESYNC_MAX_DELETIONS=-1"}, []string{`RESYNC_MAX_DELETIONS: "-1" ` + deletions}},
		"deletions zero":         {[]string{"RESYNC_MAX_DELETIONS=0"}, []string{`RESYNC_MAX_DELETIONS: "0" ` + deletions}},
		"listen address":         {[]string{"LISTEN_ADDR=8080"}, []string{`LISTEN_ADDR: "8080" ` + addr}},
		"listen URL":             {[]string{"LISTEN_ADDR=http://0.0.0.0:8080"}, []string{`LISTEN_ADDR: "http://0.0.0.0:8080" ` + addr}},
		"listen port":            {[]string{"LISTEN_ADDR=:65536"}, []string{`LISTEN_ADDR: ":65536" ` + addr}},
		"listen named port":      {[]string{"LISTEN_ADDR=:http"}, []string{`LISTEN_ADDR: ":http" ` + addr}},
		"listen off":             {[]string{"LISTEN_ADDR=off"}, []string{`LISTEN_ADDR: "off" is not possible; use host:port or :port, e.g. :8080`}},
		"certificate alone":      {[]string{"TLS_CERT_FILE=config.go"}, []string{`TLS_KEY_FILE: is missing although TLS_CERT_FILE is given; give both or none`}},
		"key alone":              {[]string{"TLS_KEY_FILE=config.go"}, []string{`TLS_CERT_FILE: is missing although TLS_KEY_FILE is given; give both or none`}},
		"no certificate":         {[]string{"TLS_CERT_FILE=config.go", "TLS_KEY_FILE=config.go"}, []string{`TLS_CERT_FILE: "config.go" is not a PEM certificate for the key in TLS_KEY_FILE "config.go": failed to find any PEM data in certificate input`}},
		"certificate missing":    {[]string{"TLS_CERT_FILE=/nonexistent.pem", "TLS_KEY_FILE=config.go"}, []string{`TLS_CERT_FILE: "/nonexistent.pem" can't be read: no such file or directory`}},
		"key missing":            {[]string{"TLS_CERT_FILE=config.go", "TLS_KEY_FILE=/nonexistent.pem"}, []string{`TLS_KEY_FILE: "/nonexistent.pem" can't be read: no such file or directory`}},
		"same address":           {[]string{"LISTEN_ADDR=127.0.0.1:9090"}, []string{`ADMIN_ADDR: "127.0.0.1:9090" is the public listener's address too; use another, or off`}},
		"any ports":              {[]string{"LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0"}, nil},
		"admin open":             {[]string{"ADMIN_ADDR=:9090"}, []string{`ADMIN_TOKEN: is missing and ADMIN_ADDR ":9090" can be reached from other machines; use at least 16 printable characters without spaces, or listen on 127.0.0.1`}},
		"admin open with token":  {[]string{"ADMIN_ADDR=:9090", "ADMIN_TOKEN=0123456789abcdef"}, nil},
		"admin loopback":         {[]string{"ADMIN_ADDR=[::1]:9090"}, nil},
		"admin localhost":        {[]string{"ADMIN_ADDR=localhost:9090"}, nil},
		"admin off":              {[]string{"ADMIN_ADDR=OFF"}, nil},
		"admin token short":      {[]string{"ADMIN_TOKEN=short"}, []string{`ADMIN_TOKEN: "***" is too short; use at least 16 printable characters without spaces`}},
		"admin token space":      {[]string{"ADMIN_TOKEN=0123456789abcdef g"}, []string{`ADMIN_TOKEN: "***" can't stand in a header; use at least 16 printable characters without spaces`}},
		"networks":               {[]string{"TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.7,2001:db8::/32"}, nil},
		"network word":           {[]string{"ALLOW_CIDRS=10.0.0.0/8,here"}, []string{`ALLOW_CIDRS: "here" is not a network; use CIDR or single addresses, e.g. 10.0.0.0/8,192.0.2.7`}},
		"network zone":           {[]string{"ALLOW_CIDRS=fe80::1%eth0"}, []string{`ALLOW_CIDRS: "fe80::1%eth0" is not a network; use CIDR or single addresses, e.g. 10.0.0.0/8,192.0.2.7`}},
		"network host bits":      {[]string{"ALLOW_CIDRS=10.1.2.3/8"}, []string{`ALLOW_CIDRS: "10.1.2.3/8" has bits beyond its length; use 10.0.0.0/8 for the network or 10.1.2.3 for the address`}},
		"size word":              {[]string{"JOURNAL_MAX_BYTES=big"}, []string{`JOURNAL_MAX_BYTES: "big" ` + size}},
		"size negative":          {[]string{"JOURNAL_MAX_BYTES=-1GiB"}, []string{`JOURNAL_MAX_BYTES: "-1GiB" ` + size}},
		"size huge":              {[]string{"JOURNAL_MAX_BYTES=1e30GiB"}, []string{`JOURNAL_MAX_BYTES: "1e30GiB" ` + size}},
		"line small":             {[]string{"LOG_LINE_MAX=1KiB"}, []string{`LOG_LINE_MAX: "1KiB" is too small; use 2KiB or more, or off`}},
		"size small":             {[]string{"JOURNAL_MAX_BYTES=1000"}, []string{`JOURNAL_MAX_BYTES: "1kB" is too small; use 1MiB or more, or off`}},
		"log level":              {[]string{"LOG_LEVEL=loud"}, []string{`LOG_LEVEL: "loud" is not known; use trace, debug, info, warn or error`}},
		"log format":             {[]string{"LOG_FORMAT=xml"}, []string{`LOG_FORMAT: "xml" is not known; use json or console`}},
		"long value":             {[]string{"LOG_FORMAT=" + strings.Repeat("x", 300)}, []string{`LOG_FORMAT: "` + strings.Repeat("x", 200) + `..." is not known; use json or console`}},
		"all at once": {[]string{"KAZOO_API_URL=x", "PUBLIC_URL=", "HOOK_RETRIES=9", "HOOK_SECRET=short", "LOG_LEVEL=loud"}, []string{
			`KAZOO_API_URL: "x" ` + absolute,
			publicURL + `is missing; ` + use,
			`HOOK_SECRET: "***" is too short; use at least 16 characters`,
			`HOOK_RETRIES: "9" is out of range; Kazoo accepts 0 to 4`,
			`LOG_LEVEL: "loud" is not known; use trace, debug, info, warn or error`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(Options{Environ: with(c.env...), Need: All})
			if diff := cmp.Diff(c.want, messages(t, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSecretFiles has a case for each rule about *_FILE.
func TestSecretFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	empty, huge, lines := file("empty", "\n"), file("huge", strings.Repeat("x", 5000)), file("lines", "one\ntwo\n")
	missing := filepath.Join(dir, "missing")
	for name, c := range map[string]struct {
		env  []string
		want []string
	}{
		"unreadable": {[]string{"HOOK_SECRET_FILE=" + missing}, []string{`HOOK_SECRET_FILE: "` + missing + `" can't be read: no such file or directory`}},
		"directory":  {[]string{"HOOK_SECRET_FILE=" + dir}, []string{`HOOK_SECRET_FILE: "` + dir + `" can't be read: is a directory`}},
		"empty":      {[]string{"HOOK_SECRET_FILE=" + empty}, []string{`HOOK_SECRET_FILE: "` + empty + `" is empty; put the secret into the file`}},
		"huge":       {[]string{"HOOK_SECRET_FILE=" + huge}, []string{`HOOK_SECRET_FILE: "` + huge + `" is larger than 4KiB; is it the right file?`}},
		"lines":      {[]string{"HOOK_SECRET_FILE=" + lines}, []string{`HOOK_SECRET_FILE: "` + lines + `" holds more than one line; put the secret alone into the file`}},
		"both":       {[]string{"KAZOO_PASSWORD_FILE=" + lines}, []string{`KAZOO_PASSWORD: is given together with KAZOO_PASSWORD_FILE; use one of them`}},
		"no second problem": {[]string{"KAZOO_PASSWORD=", "KAZOO_PASSWORD_FILE=" + empty},
			[]string{`KAZOO_PASSWORD_FILE: "` + empty + `" is empty; put the secret into the file`}},
		"fine": {[]string{"KAZOO_PASSWORD=", "KAZOO_PASSWORD_FILE=" + file("crlf", "correct horse\r\n")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c2, err := Load(Options{Environ: with(c.env...), Need: All})
			if diff := cmp.Diff(c.want, messages(t, err)); diff != "" {
				t.Error(diff)
			}
			if name == "fine" && c2.KazooPassword.Reveal() != "correct horse" {
				t.Error("the newline was not dropped")
			}
		})
	}
}

// TestProblemsAreErrors finds a single problem within the error of Load.
func TestProblemsAreErrors(t *testing.T) {
	t.Parallel()
	_, err := Load(Options{Environ: with("KAZOO_API_URL=", "HOOK_RETRIES=9"), Need: All})
	var p Problem
	if !errors.As(err, &p) || p.Variable != "KAZOO_API_URL" {
		t.Errorf("%v", p)
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[1], `HOOK_RETRIES: "9" is out of range`) {
		t.Errorf("%q", lines)
	}
}
