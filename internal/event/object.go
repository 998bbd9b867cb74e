package event

import "strings"

// Object is the payload of an object event: user.deleted, device.created, ...
// Version 4 sends only id, account_id, action, type and cluster_id, which are
// fields of the event (kazoo 4.3
// applications/webhooks/src/modules/webhooks_object.erl).
type Object struct {
	AuthUserID    *string `json:"auth_user_id"`    // the user who did it, if known (version 5)
	AuthAccountID *string `json:"auth_account_id"` // that user's account (version 5)

	// In version 5, if the operator's include_fields list them, and in events that
	// a resync inferred.
	Name      *string `json:"name"`       // of the object
	FirstName *string `json:"first_name"` // users
	LastName  *string `json:"last_name"`  // users
	Username  *string `json:"username"`   // users
	Email     *string `json:"email"`      // users
	Realm     *string `json:"realm"`      // accounts

	// Version 2. Kazoo's HEAD swaps created and modified.
	Rev         *string    `json:"rev"`             // revision of the document (version 2)
	Database    *string    `json:"database"`        // where the document is (version 2)
	SoftDeleted *Boolean   `json:"is_soft_deleted"` // the document is kept, but deleted (version 2)
	Created     *Gregorian `json:"date_created"`    // when the document was made; HEAD swaps it with date_modified
	Modified    *Gregorian `json:"date_modified"`   // when the document was changed
	Document    *Document  `json:"doc"`             // the part of the document that version 2 sends
	Metadata    *Metadata  `json:"metadata"`        // what version 2 says of the document
}

// Document is the part of the object's document that version 2 sends.
type Document struct {
	ID        *string  `json:"id"`         // of the document
	Name      *string  `json:"name"`       // of the object
	FirstName *string  `json:"first_name"` // users
	LastName  *string  `json:"last_name"`  // users
	Username  *string  `json:"username"`   // users
	Email     *string  `json:"email"`      // users
	PrivLevel *string  `json:"priv_level"` // "user" or "admin"
	Realm     *string  `json:"realm"`      // accounts
	Enabled   *Boolean `json:"enabled"`    // whether the object may be used
}

// Metadata is version 2's data about the document.
type Metadata struct {
	ID         *string    `json:"id"`          // of the document
	Created    *Gregorian `json:"created"`     // when it was made
	Modified   *Gregorian `json:"modified"`    // when it was changed
	Deleted    *Boolean   `json:"deleted"`     // whether it is deleted
	ResellerID *string    `json:"reseller_id"` // accounts
	IsReseller *Boolean   `json:"is_reseller"` // accounts
}

// Envelope is the wrapper of Kazoo 5's version 2 around an event's data (kazoo 5
// applications/webhooks/src/webhooks_util.erl).
type Envelope struct {
	Name      *string    `json:"name"`      // doc_deleted, CHANNEL_CREATE, voicemail_new, ...
	Timestamp *Gregorian `json:"timestamp"` // when it was sent
	HMAC      *string    `json:"hmac"`      // the signature; absent where the hook has no key
}

// displayName returns the object's name for people from the event: version 2 sends
// the document, version 5 the include_fields, version 4 nothing.
func displayName(data map[string]any) string {
	doc, _ := data["doc"].(map[string]any)
	for _, fields := range []map[string]any{doc, data} {
		for _, name := range []string{
			text(fields, "name"),
			strings.TrimSpace(text(fields, "first_name") + " " + text(fields, "last_name")),
			text(fields, "username"),
			text(fields, "email"),
		} {
			if name != "" {
				return name
			}
		}
	}
	return ""
}

func text(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}
