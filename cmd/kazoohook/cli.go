package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"kazoohook/config"
)

// commands is the grammar. A command is a struct in a file of its own with a
// Run(context.Context, *env) error method; it embeds settings to have flags
// for the variables it needs.
type commands struct {
	File    string           `name:"config" placeholder:"FILE" help:"YAML file of settings; KAZOOHOOK_CONFIG names it too."`
	Version kong.VersionFlag `help:"Print the version."`

	Serve       serveCmd       `cmd:"" help:"Register with Kazoo, receive, keep and log events: the main job."`
	Demo        demoCmd        `cmd:"" help:"See it work: a fake Kazoo, the receiver and a stream of events in one process, without configuration."`
	Fake        fakeCmd        `cmd:"" help:"Run the fake Kazoo alone, to develop and test against."`
	Plan        planCmd        `cmd:"" help:"Print what registration would change, and change nothing; exit code 3 if there is something."`
	Register    registerCmd    `cmd:"" help:"Register our hooks now, as serve does by itself."`
	Unregister  unregisterCmd  `cmd:"" help:"Delete our hooks from Kazoo, and no others."`
	Events      eventsCmd      `cmd:"" help:"Query the history, of the running service or of the data directory."`
	Tail        tailCmd        `cmd:"" help:"Follow events live; goes on where it was after a lost connection."`
	Replay      replayCmd      `cmd:"" help:"Have events handled again, e.g. printed to the log."`
	Resync      resyncCmd      `cmd:"" help:"Compare Kazoo's objects with the snapshot now and report what was missed."`
	Doctor      doctorCmd      `cmd:"" help:"Check everything that has to be right for events to arrive, and say what to do about what isn't."`
	Config      configCmd      `cmd:"" help:"Print the effective configuration, secrets masked, and where each value comes from."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask the running service whether it is well; for a container's health check."`
	VersionCmd  versionCmd     `cmd:"" name:"version" help:"Print the version."`
}

func newCommands() *commands {
	return &commands{
		Serve:       serveCmd{settings: need(config.All)},
		Plan:        planCmd{settings: need(byHand)},
		Register:    registerCmd{settings: need(byHand)},
		Unregister:  unregisterCmd{settings: need(byHand)},
		Events:      eventsCmd{settings: need(history)},
		Tail:        tailCmd{settings: need(history)},
		Replay:      replayCmd{settings: need(history)},
		Resync:      resyncCmd{settings: need(resyncSettings)},
		Doctor:      doctorCmd{settings: need(config.All)},
		Config:      configCmd{settings: need(config.All)},
		Healthcheck: healthcheckCmd{settings: need(config.Listen)},
	}
}

const description = `Durable webhook receiver for the Kazoo phone platform.

Each setting is a flag, an environment variable and a key of the YAML file: --kazoo-api-url is KAZOO_API_URL and kazoo_api_url. The flag is stronger than the variable, the variable than the file.`

// env is what a command has of the world.
type env struct {
	environ        []string // NAME=value
	stdin          io.Reader
	stdout, stderr io.Writer
	file           string // --config
}

// run is the whole program. It reports an error on stderr before it returns
// it. It takes the environment as a list, where a getenv function is usual: a
// misspelt variable can only be noticed by looking at all of them.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	err := execute(ctx, args, &env{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr})
	report(stderr, err)
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
	parsed, err := parser.Parse(args)
	if exited {
		return nil
	}
	if err != nil {
		return usageError(err)
	}
	e.file = grammar.File
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(e)
}

// usageError adds where help is to be had.
func usageError(err error) error {
	name := "kazoohook"
	var parse *kong.ParseError
	if errors.As(err, &parse) {
		if cmd := parse.Context.Selected(); cmd != nil {
			name = cmd.FullPath()
		}
	}
	return exit(codeUsage, fmt.Errorf("%w\nRun %q for help", err, name+" -h"))
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

// settingFlags makes a struct of pointers from the table of variables: a
// pointer that is still nil after parsing is a flag that was not given, which
// a value equal to the default could not tell.
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
	return config.Load(config.Options{File: e.file, Environ: e.environ, Flags: s.given(), Need: s.group})
}
