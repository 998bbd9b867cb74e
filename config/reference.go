package config

import "strings"

// Two steps: the first turns comments into Go, the second turns that into tables.
//go:generate go test . -run ^TestFieldDocs$ -update
//go:generate go test . -run ^TestDocumentation$ -update

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
	Onward                     // destinations, and what is kept for them
	Cluster                    // the nodes that keep one journal

	All = Kazoo | Delivery | HookSet | Engine | Listen | Journal | Log | Onward | Cluster
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
		{Onward, "destinations", "Destinations"},
		{Cluster, "cluster", "Cluster"},
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

// Manual returns the settings as markdown sections, one for each group, with
// the reason for each default, and the keys of a destination.
func Manual() string {
	var b strings.Builder
	for i, g := range groups() {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString("## " + g.title + "\n\n| variable | YAML key | flag | default | meaning | why this default |\n|---|---|---|---|---|---|\n")
		for _, v := range Variables() {
			if v.Group != g.group {
				continue
			}
			name, key := "`"+v.Name+"`", "`"+v.Key()+"`"
			if v.Secret {
				name += ", `" + v.FileName() + "`"
				key += ", `" + strings.ToLower(v.FileName()) + "`"
			}
			b.WriteString("| " + name + " | " + key + " | `--" + v.Flag() + "` | " + v.Default + " | " +
				cell(v.Meaning) + " | " + cell(v.Reason) + " |\n")
		}
	}
	b.WriteString("\n## Traces\n\nOpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT` and its like) switch traces on; they have no YAML key and no flag. See [operations.md](operations.md#traces).\n")
	b.WriteString("\n## Keys of a destination\n\n| key | types | default | meaning |\n|---|---|---|---|\n")
	for _, k := range destinationKeys() {
		name, types := "`"+k.name+"`", "all"
		if k.file {
			name += ", `" + k.name + "_file`"
		}
		if k.types != nil {
			types = strings.Join(k.types, ", ")
		}
		b.WriteString("| " + name + " | " + types + " | " + k.def + " | " + cell(k.meaning) + " |\n")
	}
	return b.String()
}

// cell escapes what would end a table cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
