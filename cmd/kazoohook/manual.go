package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"kazoohook/config"
)

// roff escapes text for a manual page.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", "").Replace(text)
	for _, control := range []string{".", "'"} {
		if strings.HasPrefix(text, control) {
			text = `\&` + text
		}
		text = strings.ReplaceAll(text, "\n"+control, "\n"+`\&`+control)
	}
	return text
}

// manual prints the manual page in roff's man macros. Settings, which many commands
// take, are described once.
func manual(w io.Writer, app *kong.Application) error {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH KAZOOHOOK 1 \"\" \"kazoohook %s\"\n.SH NAME\nkazoohook \\- durable receiver of Kazoo's webhooks\n", roff(version().Version))
	b.WriteString(".SH SYNOPSIS\n.B kazoohook\n[\\fB\\-\\-config\\fR \\fIFILE\\fR] \\fICOMMAND\\fR [\\fIFLAGS\\fR]\n.SH DESCRIPTION\n")
	b.WriteString(strings.ReplaceAll(roff(description), "\n\n", "\n.PP\n") + "\n")
	b.WriteString(".SH COMMANDS\n")
	setting := map[string]bool{}
	for _, v := range config.Variables() {
		setting[v.Flag()] = true
	}
	for _, n := range listed(app) {
		fmt.Fprintf(&b, ".SS %s\n%s\n", roff(strings.TrimPrefix(n.Summary(), app.Name+" ")), roff(n.Help))
		settings := false
		for _, p := range n.Positional {
			fmt.Fprintf(&b, ".TP\n\\fI%s\\fR\n%s\n", roff(p.Name), roff(p.Help))
		}
		for _, f := range flagsOf(n) {
			if setting[f.Name] {
				settings = true
				continue
			}
			manualFlag(&b, f)
		}
		if settings {
			b.WriteString(".PP\nTakes settings, see below.\n")
		}
	}
	b.WriteString(".SH SETTINGS\n")
	for _, v := range config.Variables() {
		value, meaning := v.Literal(), v.Meaning
		if value != "" {
			meaning += " Default: " + value + "."
		}
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fR, \\fB\\-\\-%s\\fR\n%s\n", roff(v.Name), roff(v.Flag()), roff(meaning))
	}
	b.WriteString(`.SH EXIT STATUS
0: fine. 1: failed. 2: wrong arguments or configuration. 3: plan found changes to make.
.SH FILES
.TP
\fI/etc/kazoohook/config.yaml\fR
Settings, where the service is run by systemd.
.TP
\fI/var/lib/kazoohook\fR
Its data directory.
.TP
\fI/usr/share/doc/kazoohook/operations.md\fR
How to operate it.
`)
	_, err := io.WriteString(w, b.String())
	return err
}

func manualFlag(b *strings.Builder, f *kong.Flag) {
	value := ""
	if !f.IsBool() {
		value = " \\fI" + roff(f.FormatPlaceHolder()) + "\\fR"
	}
	fmt.Fprintf(b, ".TP\n\\fB\\-\\-%s\\fR%s\n%s\n", roff(f.Name), value, roff(f.Help))
}
