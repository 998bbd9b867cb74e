package registration

import (
	"testing"

	"kazoohook/internal/crossbar/crossbartest"
)

// TestUsersOfAnAccountThatIsNotedAsGone: a deleted account was concluded from
// while the listing of users could not be trusted. What it held must not be
// forgotten with it.
func TestUsersOfAnAccountThatIsNotedAsGone(t *testing.T) {
	t.Parallel()
	for name, specs := range map[string][]Spec{
		"users":              deletedUsers,
		"users and accounts": {{"object", "user", "doc_deleted"}, {"object", "account", "doc_deleted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newComparison(t, specs...)
			c.opts.IncludeSubaccounts = true
			south := "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab51"
			c.seed(t, "acme", 100)
			inSouth := c.seed(t, south, 3)
			c.mustPass(t)
			if err := c.DeleteAccount(south); err != nil {
				t.Fatal(err)
			}
			lie, err := c.Inject(crossbartest.Fault{Kind: crossbartest.FaultOmit, Op: "users.list"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.pass(t, Request{}); err == nil {
				t.Error("a listing that leaves out half of the users is trusted")
			}
			c.ClearFault(lie)
			c.mustPass(t)
			c.want(t, "user.deleted", inSouth...)
			c.mustPass(t)
			c.want(t, "user.deleted", inSouth...)
		})
	}
}
