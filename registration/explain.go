package registration

import (
	"fmt"
	"strings"

	"kazoohook/internal/crossbar"
)

// Explain describes why an attempt failed and what to do, with Kazoo's own words in
// quotes.
func Explain(a crossbar.Attempt) string {
	if a.Status != "" {
		return explainStatus(a)
	}
	words := redactURI(strings.TrimSpace(a.ClientError))
	if words == "" {
		words = redactURI(a.Reason)
	}
	for _, e := range clientErrors {
		for _, word := range e.words {
			if strings.Contains(strings.ToLower(words), word) {
				return fmt.Sprintf("%s (Kazoo says %q)", e.plain, words)
			}
		}
	}
	return fmt.Sprintf("Kazoo could not send the request (Kazoo says %q)", words)
}

// clientErrors are the error words of Erlang's HTTP client, most specific first.
var clientErrors = []struct {
	words []string
	plain string
}{
	{[]string{"econnrefused", "refused"}, "Kazoo's connection was refused: nothing listens at PUBLIC_URL's port, or a firewall rejects it"},
	{[]string{"nxdomain", "non-existing domain"}, "Kazoo could not resolve the host name of PUBLIC_URL: check the DNS that Kazoo's servers use"},
	{[]string{"tls_alert", "tls", "ssl", "certificate"}, "Kazoo could not agree on TLS with PUBLIC_URL: check the certificate chain and its expiry"},
	{[]string{"ehostunreach", "enetunreach", "unreachable"}, "Kazoo has no route to PUBLIC_URL's address: Kazoo uses IPv4 only"},
	{[]string{"timeout", "etimedout"}, "Kazoo's connection timed out: a firewall drops it, or the address is wrong"},
	{[]string{"socket_closed_remotely", "closed", "econnreset", "reset"}, "the connection was closed before an answer: a proxy's timeout, or the receiver was killed"},
	{[]string{"parse", "bad_response", "could_not_parse"}, "what answered did not speak HTTP"},
}

func explainStatus(a crossbar.Attempt) string {
	switch s := a.Status; {
	case s == "404":
		return "answered 404: the secret in the hook's URI is not ours, or a proxy sends the path elsewhere"
	case s == "401" || s == "403":
		return "answered " + s + ": something in front of the receiver asks for a login or blocks Kazoo's address"
	case s == "413":
		return "answered 413: the body was too large, or a proxy's limit is too small"
	case s == "502" || s == "503" || s == "504":
		return "answered " + s + ": a proxy is there but the receiver behind it was not"
	case strings.HasPrefix(s, "3"):
		return "answered " + s + ": a redirect; PUBLIC_URL must be the final address"
	case strings.HasPrefix(s, "2"):
		return "answered " + s + ": Kazoo counts only 200 as success; another program than kazoohook answers at PUBLIC_URL"
	default:
		return "answered " + s
	}
}
