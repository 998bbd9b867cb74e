package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCmd prints completions and the manual page for packages. They are
// generated from the grammar, so they are never stale.
type completionCmd struct {
	Kind string `arg:"" enum:"bash,zsh,fish,man" help:"bash, zsh or fish for completions, man for the manual page."`
}

// Run prints the completions, or the manual page.
func (c *completionCmd) Run(_ context.Context, e *env) error {
	parser, err := kong.New(newCommands(), kong.Name("kazoohook"), kong.Description(description), kong.Vars{"version": version().String()})
	if err != nil {
		return err
	}
	print := map[string]func(io.Writer, *kong.Application) error{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion, "man": manual}[c.Kind]
	return print(e.stdout, parser.Model)
}

// listed returns the commands that help lists.
func listed(app *kong.Application) []*kong.Node { return app.Leaves(true) }

// flagsOf returns the flags of a command, without global ones.
func flagsOf(n *kong.Node) (list []*kong.Flag) {
	for _, f := range n.Flags {
		if !f.Hidden {
			list = append(list, f)
		}
	}
	return list
}

// choices returns the possible values of a flag or argument, if they are few.
func choices(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return slices.Sorted(maps.Keys(v.EnumMap()))
}

// takesFile reports whether a flag or argument names a file.
func takesFile(v *kong.Value) bool {
	return v.Flag != nil && v.Flag.PlaceHolder == "FILE" || v.Flag == nil && strings.HasSuffix(v.Name, "file") || v.Name == "data-dir"
}

// dashed returns flags as they are typed.
func dashed(flags []*kong.Flag) (list []string) {
	for _, f := range flags {
		list = append(list, "--"+f.Name)
	}
	return list
}

func names(nodes []*kong.Node) (list []string) {
	for _, n := range nodes {
		list = append(list, n.Name)
	}
	return list
}

func bashCompletion(w io.Writer, app *kong.Application) error {
	var b strings.Builder
	commands := names(listed(app))
	fmt.Fprintf(&b, `# bash completion of kazoohook
_kazoohook() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word words=
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $word in
		%s) command=$word; break ;;
		esac
	done
	COMPREPLY=()
	case "$command $prev" in
`, strings.Join(commands, "|"))
	value := func(n *kong.Node, f *kong.Flag) {
		switch list := choices(f.Value); {
		case list != nil:
			fmt.Fprintf(&b, "\t\"%s --%s\") COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", n.Name, f.Name, strings.Join(list, " "))
		case takesFile(f.Value):
			fmt.Fprintf(&b, "\t\"%s --%s\") compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", n.Name, f.Name)
		case !f.IsBool():
			fmt.Fprintf(&b, "\t\"%s --%s\") return ;;\n", n.Name, f.Name)
		}
	}
	for _, n := range listed(app) {
		for _, f := range slices.Concat(flagsOf(app.Node), flagsOf(n)) {
			value(n, f)
		}
	}
	b.WriteString("\t\" --config\") compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n\tesac\n\tcase $command in\n")
	common := strings.Join(dashed(flagsOf(app.Node)), " ")
	fmt.Fprintf(&b, "\t'') words='%s %s' ;;\n", strings.Join(commands, " "), common)
	for _, n := range listed(app) {
		words := dashed(flagsOf(n))
		for _, p := range n.Positional {
			words = append(words, choices(p)...)
			if takesFile(p) {
				words = append(words, "$(compgen -f -- \"$cur\")")
			}
			if n.Name == "help" {
				words = append(words, commands...)
			}
		}
		fmt.Fprintf(&b, "\t%s) words=\"%s %s\" ;;\n", n.Name, strings.ReplaceAll(strings.Join(words, " "), `"$cur"`, "$cur"), common)
	}
	b.WriteString("\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _kazoohook kazoohook\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// sentence returns a help text on one line, without characters that are special to
// shells.
func sentence(help string) string {
	return strings.NewReplacer("'", "’", "\n", " ", "`", "").Replace(help)
}

func zshCompletion(w io.Writer, app *kong.Application) error {
	var b strings.Builder
	escape := strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`)
	flag := func(f *kong.Flag) string {
		value := ""
		switch list := choices(f.Value); {
		case list != nil:
			value = "=:value:(" + strings.Join(list, " ") + ")"
		case takesFile(f.Value):
			value = "=:file:_files"
		case !f.IsBool():
			value = "=:value: "
		}
		name, action, _ := strings.Cut(value, ":")
		if value != "" {
			action = ":" + action
		}
		return fmt.Sprintf(" \\\n\t\t\t'--%s%s[%s]%s'", f.Name, name, escape.Replace(sentence(f.Help)), action)
	}
	b.WriteString("#compdef kazoohook\n# zsh completion of kazoohook\n_kazoohook() {\n\tlocal curcontext=$curcontext state line\n\tlocal -a commands=(\n")
	for _, n := range listed(app) {
		fmt.Fprintf(&b, "\t\t'%s:%s'\n", n.Name, escape.Replace(sentence(n.Help)))
	}
	b.WriteString("\t)\n\t_arguments -C")
	for _, f := range flagsOf(app.Node) {
		b.WriteString(flag(f))
	}
	b.WriteString(" \\\n\t\t'1:command:->command' '*::argument:->arguments'\n\tcase $state in\n\tcommand) _describe command commands ;;\n\targuments)\n\t\tcase $line[1] in\n")
	for _, n := range listed(app) {
		fmt.Fprintf(&b, "\t\t%s) _arguments", n.Name)
		for _, f := range slices.Concat(flagsOf(app.Node), flagsOf(n)) {
			b.WriteString(flag(f))
		}
		for _, p := range n.Positional {
			action := " "
			switch list := choices(p); {
			case list != nil:
				action = "(" + strings.Join(list, " ") + ")"
			case takesFile(p):
				action = "_files"
			case n.Name == "help":
				action = "(" + strings.Join(names(listed(app)), " ") + ")"
			}
			fmt.Fprintf(&b, " \\\n\t\t\t'*:%s:%s'", p.Name, action)
		}
		b.WriteString(" ;;\n")
	}
	b.WriteString("\t\tesac ;;\n\tesac\n}\nif [[ $zsh_eval_context[-1] == loadautofunc ]]; then _kazoohook \"$@\"; else compdef _kazoohook kazoohook; fi\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func fishCompletion(w io.Writer, app *kong.Application) error {
	var b strings.Builder
	b.WriteString("# fish completion of kazoohook\ncomplete -c kazoohook -f\n")
	flag := func(when string, f *kong.Flag) {
		fmt.Fprintf(&b, "complete -c kazoohook%s -l %s -d '%s'", when, f.Name, strings.ReplaceAll(sentence(f.Help), `\`, `\\`))
		switch list := choices(f.Value); {
		case list != nil:
			fmt.Fprintf(&b, " -x -a '%s'", strings.Join(list, " "))
		case takesFile(f.Value):
			b.WriteString(" -r -F")
		case !f.IsBool():
			b.WriteString(" -x")
		}
		b.WriteByte('\n')
	}
	for _, f := range flagsOf(app.Node) {
		flag("", f)
	}
	for _, n := range listed(app) {
		fmt.Fprintf(&b, "complete -c kazoohook -n __fish_use_subcommand -a %s -d '%s'\n", n.Name, sentence(n.Help))
		when := " -n '__fish_seen_subcommand_from " + n.Name + "'"
		for _, f := range flagsOf(n) {
			flag(when, f)
		}
		for _, p := range n.Positional {
			switch list := choices(p); {
			case list != nil:
				fmt.Fprintf(&b, "complete -c kazoohook%s -a '%s'\n", when, strings.Join(list, " "))
			case takesFile(p):
				fmt.Fprintf(&b, "complete -c kazoohook%s -F\n", when)
			case n.Name == "help":
				fmt.Fprintf(&b, "complete -c kazoohook%s -a '%s'\n", when, strings.Join(names(listed(app)), " "))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
