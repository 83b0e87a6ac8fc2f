// Package cli is the manner both programs share: what goes to stdout and what
// to stderr, how an error is told to a person, the exit codes, the output
// formats, the version.
//
// It knows nothing of connections or tokens and never prints a secret: callers
// hand it what may be shown.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes of both programs; they never change meaning.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitDenied      = 3
	ExitDamaged     = 3 // of sallyportd: the log is damaged
	ExitWaiting     = 4 // it waits for the approval of an access request
	ExitUnreachable = 5 // nobody answered, or the answer was "not now"
)

// IO is what a program reads and writes; tests put buffers in place of the terminal.
type IO struct {
	In  io.Reader
	Out io.Writer // data, nothing else
	Err io.Writer // everything a person reads beside the data
	// Getenv reads the environment; an unset variable is "".
	Getenv func(string) string
	// Environ is the whole environment, as of [os.Environ]; nil is an empty one.
	Environ func() []string
}

// Std is the terminal and environment of this process.
func Std() IO {
	return IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Environ: os.Environ}
}

// Environment is every variable, as of [os.Environ].
func (s IO) Environment() []string {
	if s.Environ == nil {
		return nil
	}
	return s.Environ()
}

// Note writes one line for the person at the terminal.
func (s IO) Note(format string, args ...any) {
	fmt.Fprintln(s.Err, Clean(fmt.Sprintf(format, args...)))
}

// Run executes the command line and gives the exit code. Errors are told on
// s.Err, once, with what to do next.
func Run(ctx context.Context, root *cobra.Command, s IO, args []string) int {
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = false
	root.Version = BuildVersion() // --version says what the command version says
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageOf(c, err) })
	tame(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	var code Exit
	if errors.As(err, &code) {
		return int(code)
	}
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Exit: ExitFailed, Message: err.Error()}
	}
	e.write(s.Err, root.Name())
	return e.Exit
}

// Exit is the error of a command that ran another program, which has told itself
// what is wrong: its exit code is ours, and nothing is added.
type Exit int

func (e Exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// tame makes wrong arguments usage errors everywhere, and a command that only
// groups others an error where cobra would print help and succeed.
func tame(c *cobra.Command) {
	if c.HasSubCommands() && !c.Runnable() {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknown(c, args[0])
			}
			return Usage(c, "%s needs a command", c.CommandPath())
		}
	}
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageOf(c, err)
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		tame(sub)
	}
}

// unknown is the error of a command that is not there, with those it may be
// meant for.
func unknown(c *cobra.Command, name string) error {
	e := Usage(c, "%q is no command of %s", name, c.CommandPath())
	c.SuggestionsMinimumDistance = 2 // letters that may be wrong
	for _, s := range c.SuggestionsFor(name) {
		e.Details = append(e.Details, fmt.Sprintf("did you mean `%s %s`?", c.CommandPath(), s))
	}
	return e
}

func usageOf(c *cobra.Command, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Usage(c, "%s", err)
}

// Usage is the error of a command line that says nothing we understand.
func Usage(c *cobra.Command, format string, args ...any) *Error {
	return &Error{
		Exit: ExitUsage, Message: fmt.Sprintf(format, args...),
		Next: fmt.Sprintf("see `%s --help`", c.CommandPath()),
	}
}

// Args wants exactly the named arguments, and says which is missing.
func Args(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return Usage(c, "%s is missing", names[len(args)])
		case len(args) > len(names):
			return Usage(c, "%d arguments are given, wanted %d (%s)", len(args), len(names), strings.Join(names, " "))
		}
		return nil
	}
}

// Version is the `version` command.
func Version(s IO, program string, f *Format) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: cobra.NoArgs,
		Example: "  " + program + " version",
		RunE: func(*cobra.Command, []string) error {
			doc := map[string]string{"name": program, "version": BuildVersion()}
			return Print(s.Out, *f, doc, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, doc["name"], doc["version"])
				return err
			})
		},
	}
}

// BuildVersion is the version that the build recorded: a tag, or "devel" and
// the commit it was built from.
func BuildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel " + s.Value[:12]
		}
	}
	return "devel"
}
