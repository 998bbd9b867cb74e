package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"kazoohook/config"
	"kazoohook/internal/output"
	"kazoohook/internal/redact"
)

// commands is the grammar. A command is a struct in a file of its own with a
// Run(context.Context, *env) error method; it embeds settings to have flags
// for the variables it needs.
type commands struct {
	File    string           `name:"config" placeholder:"FILE" help:"YAML file of settings; KAZOOHOOK_CONFIG names it too."`
	Version kong.VersionFlag `help:"Print the version."`

	Serve        serveCmd        `cmd:"" help:"Register with Kazoo, receive events, keep and log them: the main job."`
	Demo         demoCmd         `cmd:"" help:"Show it at work: a fake Kazoo, the receiver and a stream of events in one process, without configuration."`
	Fake         fakeCmd         `cmd:"" help:"Run the fake Kazoo alone, to develop and test against."`
	Plan         planCmd         `cmd:"" help:"Print what registration would change, without changing it; exit code 3 if there are changes."`
	Register     registerCmd     `cmd:"" help:"Register the hooks now; serve does it by itself."`
	Unregister   unregisterCmd   `cmd:"" help:"Delete the hooks of this installation from Kazoo, and no others."`
	Events       eventsCmd       `cmd:"" help:"Query the history, of the running service or of the data directory."`
	Tail         tailCmd         `cmd:"" help:"Follow events live; after a lost connection it continues without a gap."`
	Replay       replayCmd       `cmd:"" help:"Have the running service handle events again, e.g. print them to the log."`
	Resync       resyncCmd       `cmd:"" help:"Have the running service compare Kazoo's objects with the snapshot now and report what was missed."`
	Destinations destinationsCmd `cmd:"" help:"Show the destinations and how they are doing; preview, pause and resume them."`
	Dead         deadCmd         `cmd:"" help:"Show or discard dead letters: events that a destination did not take."`
	Redeliver    redeliverCmd    `cmd:"" help:"Have the running service deliver events to a destination again."`
	Ping         pingCmd         `cmd:"" help:"Send one test message to a destination and print its answer."`
	Cluster      clusterCmd      `cmd:"" help:"Show the nodes of the cluster: leader, lag, quorum; forget a lost node, or rebuild the log."`
	Backup       backupCmd       `cmd:"" help:"Make a backup of the data directory, whether or not the service runs."`
	Restore      restoreCmd      `cmd:"" help:"Make a data directory of a backup, while the service is stopped."`
	Salvage      salvageCmd      `cmd:"" help:"Copy what can be read of a damaged journal into a new file, while the service is stopped."`
	Doctor       doctorCmd       `cmd:"" help:"Check everything that events need to arrive, and say how to repair what is wrong."`
	Config       configCmd       `cmd:"" help:"Print the effective configuration, secrets masked, and where each value comes from."`
	Healthcheck  healthcheckCmd  `cmd:"" help:"Ask the running service whether it works; for a container's health check."`
	VersionCmd   versionCmd      `cmd:"" name:"version" help:"Print the version."`
	Completion   completionCmd   `cmd:"" hidden:"" help:"Print completions for a shell, or the manual page."`
	Help         helpCmd         `cmd:"" help:"Print the commands, or the flags of one."`
}

func newCommands() *commands {
	return &commands{
		Serve:        serveCmd{settings: need(config.All)},
		Plan:         planCmd{settings: need(byHand)},
		Register:     registerCmd{settings: need(byHand)},
		Unregister:   unregisterCmd{settings: need(byHand | config.Engine | config.Listen)},
		Events:       eventsCmd{settings: need(history)},
		Tail:         tailCmd{settings: need(history)},
		Replay:       replayCmd{settings: need(history)},
		Resync:       resyncCmd{settings: need(history)},
		Destinations: destinationsCmd{settings: need(onward)},
		Dead:         deadCmd{settings: need(onward)},
		Redeliver:    redeliverCmd{settings: need(history)},
		Ping:         pingCmd{settings: need(config.Onward)},
		Cluster:      clusterCmd{settings: need(config.Listen)},
		Backup:       backupCmd{settings: need(config.Journal)},
		Restore:      restoreCmd{settings: need(config.Journal | config.Cluster)},
		Salvage:      salvageCmd{settings: need(config.Journal)},
		Doctor:       doctorCmd{settings: need(config.All)},
		Config:       configCmd{settings: need(config.All)},
		Healthcheck:  healthcheckCmd{settings: need(config.Listen)},
	}
}

const description = `Durable webhook receiver for the Kazoo phone platform.

Each setting is a flag, an environment variable and a key of the YAML file: --kazoo-api-url is KAZOO_API_URL and kazoo_api_url. Flags override the environment, which overrides the YAML file.`

// env is a command's environment.
type env struct {
	environ        []string // NAME=value
	stdin          io.Reader
	stdout, stderr io.Writer // mask secrets
	secrets        redact.Redactor
	file           string // --config
}

// run is the whole program. It reports an error on stderr before it returns it. It
// takes the environment as a list instead of a getenv function, because only a list
// shows misspelt variables.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	e := &env{environ: environ, stdin: stdin}
	e.stdout, e.stderr = maskedWriter{stdout, &e.secrets}, maskedWriter{stderr, &e.secrets}
	err := execute(ctx, args, e)
	report(e.stderr, err)
	if o, ok := e.stderr.(*output.Output); ok {
		flush(o)
	}
	return err
}

func execute(ctx context.Context, args []string, e *env) error {
	grammar := newCommands()
	exited := false // kong asks to exit after printing help or version
	parser, err := kong.New(grammar,
		kong.Name("kazoohook"),
		kong.Description(description),
		kong.Vars{"version": version().String()},
		kong.Writers(e.stdout, e.stderr),
		kong.Exit(func(int) { exited = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 100}),
	)
	if err != nil {
		return err
	}
	if len(args) > 0 && args[0] == "help" && !slices.Contains(args, "-h") && !slices.Contains(args, "--help") {
		args = append(slices.Clone(args[1:]), "--help")
	}
	parsed, err := parser.Parse(args)
	if exited {
		return nil
	}
	if err != nil {
		return usageError(err)
	}
	if err := emptyValue(parsed); err != nil {
		return wrongUse(parsed.Selected(), err)
	}
	e.file = grammar.File
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(e)
}

// emptyValue refuses an argument or a flag of the command's own that is given without a
// value, as by a script whose variable is not set: dead --discard --event-id "" would mean
// all dead letters. A setting may be empty, as in the environment.
func emptyValue(c *kong.Context) error {
	for _, p := range c.Path {
		value := p.Positional
		var name string
		switch {
		case p.Flag != nil && p.Flag.Name != "config":
			value, name = p.Flag.Value, "--"+p.Flag.Name
		case value != nil:
			name = value.Summary()
		default:
			continue
		}
		empty := value.Target.Kind() == reflect.String && value.Target.Len() == 0
		if list, ok := value.Target.Interface().([]string); ok {
			empty = len(list) == 0 || slices.Contains(list, "")
		}
		if empty {
			return fmt.Errorf("%s is empty; give a value, or leave it out", name)
		}
	}
	return nil
}

// helpCmd exists for the list of commands: execute turns it into -h.
type helpCmd struct {
	Command string `arg:"" optional:"" help:"The command."`
}

// Run does nothing.
func (*helpCmd) Run() error { return nil }

// usageError adds the command for help.
func usageError(err error) error {
	var parse *kong.ParseError
	if errors.As(err, &parse) {
		return wrongUse(parse.Context.Selected(), err)
	}
	return wrongUse(nil, err)
}

// wrongUse is usageError of a command; nil: of the program.
func wrongUse(cmd *kong.Node, err error) error {
	name := "kazoohook"
	if cmd != nil {
		name = cmd.FullPath()
	}
	return &exitError{code: codeUsage, err: err, hint: fmt.Sprintf("Run %q for help", name+" -h")}
}

// settings gives a command flags for the variables of some groups.
type settings struct {
	kong.Plugins
	group config.Group
}

// need returns the settings of the groups.
func need(group config.Group) settings {
	return settings{Plugins: kong.Plugins{settingFlags(group)}, group: group}
}

// settingFlags makes a struct of pointers from the table of variables. A pointer
// that is nil after parsing is a flag that was not given; a plain value equal to
// the default would not show that.
func settingFlags(group config.Group) any {
	var fields []reflect.StructField
	for _, v := range config.Variables() {
		if v.Group&group == 0 {
			continue
		}
		typ, placeholder := reflect.TypeFor[*string](), "..."
		if v.Bool {
			typ = reflect.TypeFor[*bool]()
		}
		if d := v.Literal(); d != "" {
			placeholder = d
		}
		help := v.Meaning
		if v.Secret {
			placeholder = "FILE"
			help = "File that holds " + v.Name + ": " + help
		}
		fields = append(fields, reflect.StructField{
			Name: strings.ReplaceAll(v.Name, "_", ""),
			Type: typ,
			Tag: reflect.StructTag(fmt.Sprintf("name:%q placeholder:%q help:%q group:%q",
				v.Flag(), placeholder, strings.ReplaceAll(help, "`", ""), v.Group.Title())),
		})
	}
	return reflect.New(reflect.StructOf(fields)).Interface()
}

// given returns the flags that were given, by variable.
func (s settings) given() map[string]string {
	out := map[string]string{}
	flags := reflect.ValueOf(s.Plugins[0]).Elem()
	i := 0
	for _, v := range config.Variables() {
		if v.Group&s.group == 0 {
			continue
		}
		f := flags.Field(i)
		i++
		if f.IsNil() {
			continue
		}
		name := v.Name
		if v.Secret {
			name = v.FileName()
		}
		out[name] = fmt.Sprint(f.Elem().Interface())
	}
	return out
}

// load reads the configuration of the command's groups.
func (e *env) load(s settings) (*config.Config, error) {
	cfg, err := config.Load(config.Options{File: e.file, Environ: e.environ, Flags: s.given(), Need: s.group, Compile: judgeDestination})
	if err == nil {
		learnSecrets(&e.secrets, withTelemetry(cfg))
	}
	return cfg, err
}
