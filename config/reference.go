package config

import "strings"

// The tables are made from what the comments were compiled into, hence two steps.
//go:generate go test . -run ^TestFieldDocs$ -update
//go:generate go test . -run ^TestDocumentation$ -update

// Reference returns the settings as a markdown table: variable, default, meaning.
func Reference() string {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, v := range Variables() {
		b.WriteString("| `" + v.Name + "` | " + v.Default + " | " + cell(v.Meaning) + " |\n")
	}
	return b.String()
}

// Manual returns the settings as markdown sections, one for each group, with
// the reason for each default.
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
	return b.String()
}

// cell escapes what would end a table cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
