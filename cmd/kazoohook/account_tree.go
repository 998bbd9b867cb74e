package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/delivery"
	"kazoohook/internal/journal"
)

// accountTree reads the tree of accounts from Kazoo, for destinations with a filter
// by account.
type accountTree struct {
	api     *crossbar.Client
	account string // KAZOO_ACCOUNT_ID; empty: the login's
}

// Ancestors returns the accounts above one, from the topmost down.
func (t accountTree) Ancestors(ctx context.Context, account string) (ancestors []string, found bool, err error) {
	ancestors, err = t.api.Ancestors(ctx, account)
	switch {
	case crossbar.IsNotFound(err):
		return nil, false, nil
	case err != nil && !crossbar.IsOfObject(err):
		err = fmt.Errorf("%w: %w", delivery.ErrNoAPI, err)
	}
	return ancestors, err == nil, err
}

// Accounts lists the accounts below ours.
func (t accountTree) Accounts(ctx context.Context) iter.Seq2[journal.AccountPlace, error] {
	return func(yield func(journal.AccountPlace, error) bool) {
		account := t.account
		if account == "" {
			own, err := t.api.Login(ctx)
			if err != nil {
				yield(journal.AccountPlace{}, err)
				return
			}
			account = own.ID
		}
		for o, err := range t.api.Objects(ctx, account, "accounts") {
			var row struct {
				Tree []string `json:"tree"`
			}
			if err == nil {
				_ = json.Unmarshal(o.Raw, &row) // a tree of another shape counts as none
			}
			if !yield(journal.AccountPlace{Account: o.ID, Ancestors: row.Tree}, err) || err != nil {
				return
			}
		}
	}
}
