package event

import "strings"

// Object is the payload of an object event: user.deleted, device.created, ...
// Version 4 sends the first five fields only
// (kazoo 4.3 applications/webhooks/src/modules/webhooks_object.erl).
type Object struct {
	ID        string `schema:"id"`
	AccountID string `schema:"account_id"`
	Action    string `schema:"action"` // doc_created, doc_edited or doc_deleted; empty in version 2, whose envelope names it
	Type      string `schema:"type"`
	ClusterID string `schema:"cluster_id"`

	// Version 5, version 1 hooks: who did it, where known.
	AuthUserID    string `schema:"auth_user_id"`
	AuthAccountID string `schema:"auth_account_id"`

	// Version 5, where the operator's include_fields list them, and events that a
	// resync inferred.
	Name      string `schema:"name"`
	FirstName string `schema:"first_name"`
	LastName  string `schema:"last_name"`
	Username  string `schema:"username"`
	Email     string `schema:"email"`
	Realm     string `schema:"realm"`

	// Version 2. Kazoo's HEAD swaps created and modified.
	Rev         string    `schema:"rev"` // revision of the document
	Database    string    `schema:"database"`
	SoftDeleted bool      `schema:"is_soft_deleted"`
	Created     Gregorian `schema:"date_created"`
	Modified    Gregorian `schema:"date_modified"`
	Document    `schema:"-"`
	Metadata    `schema:"-"`
}

// Document is the part of the object's document that version 2 sends along.
type Document struct {
	ID        string `schema:"doc[id]"`
	Name      string `schema:"doc[name]"`
	FirstName string `schema:"doc[first_name]"`
	LastName  string `schema:"doc[last_name]"`
	Username  string `schema:"doc[username]"`
	Email     string `schema:"doc[email]"`
	PrivLevel string `schema:"doc[priv_level]"` // "user" or "admin"
	Realm     string `schema:"doc[realm]"`      // accounts
	Enabled   bool   `schema:"doc[enabled]"`
}

// Metadata is what version 2 tells of the document.
type Metadata struct {
	ID         string    `schema:"metadata[id]"`
	Created    Gregorian `schema:"metadata[created]"`
	Modified   Gregorian `schema:"metadata[modified]"`
	Deleted    bool      `schema:"metadata[deleted]"`
	ResellerID string    `schema:"metadata[reseller_id]"` // accounts
	IsReseller bool      `schema:"metadata[is_reseller]"` // accounts
}

// displayName is what a person calls the object, from what the event carries:
// version 2 sends the document, version 5 what include_fields list, version 4
// nothing.
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
