package registration

import "regexp"

// secretSegment is the segment of a hook URI that proves a delivery is Kazoo's.
var secretSegment = regexp.MustCompile(`/kazoo/[^/]+`)

// redactURI gives a hook's URI without its secret, for people and logs.
func redactURI(uri string) string { return secretSegment.ReplaceAllString(uri, "/kazoo/***") }
