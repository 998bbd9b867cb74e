package config

// Group is a set of variables that a command needs. Only the variables of the
// groups asked for are read and validated, so that e.g. a query of the history
// works without a login.
type Group uint

// The groups, in the order of the documentation.
const (
	Kazoo    Group = 1 << iota // API, login, account
	Delivery                   // public URL and the secrets in it
	HookSet                    // which hooks to register, and how
	Engine                     // reconcile and resync
	Listen                     // listeners and who may use them
	Journal                    // data directory and retention
	Log                        // level and format

	All = Kazoo | Delivery | HookSet | Engine | Listen | Journal | Log
)

// groups lists the groups with their tag and title.
func groups() []groupInfo {
	return []groupInfo{
		{Kazoo, "kazoo", "Kazoo"},
		{Delivery, "delivery", "Delivery"},
		{HookSet, "hooks", "Hooks"},
		{Engine, "engine", "Repair"},
		{Listen, "listen", "Listeners"},
		{Journal, "journal", "Journal"},
		{Log, "log", "Log"},
	}
}

type groupInfo struct {
	group Group
	tag   string
	title string
}

func groupByTag(tag string) Group {
	for _, g := range groups() {
		if g.tag == tag {
			return g.group
		}
	}
	return 0
}

// Title is the heading of the group in help and documentation; empty for a
// union of groups.
func (g Group) Title() string {
	for _, i := range groups() {
		if i.group == g {
			return i.title
		}
	}
	return ""
}
