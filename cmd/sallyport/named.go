package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
)

// nameArgs is [cli.Args] for names that become a part of a path: what is no name
// would lead elsewhere, and be answered as if the organisation were not there.
func nameArgs(names ...string) cobra.PositionalArgs {
	return formArgs(names, func(text string) error {
		_, err := domain.ParseName(text)
		return err
	})
}

var errID = errors.New("an id is letters and digits, as the list shows it")

// idArgs is nameArgs for the id of a request, or of a broken glass.
func idArgs() cobra.PositionalArgs {
	return formArgs([]string{"ID"}, func(text string) error {
		plain := func(r rune) bool { return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' }
		if text == "" || strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
			return errID
		}
		return nil
	})
}

// formArgs wants the named arguments, each in a form.
func formArgs(names []string, form func(string) error) cobra.PositionalArgs {
	count := cli.Args(names...)
	return func(c *cobra.Command, args []string) error {
		if err := count(c, args); err != nil {
			return err
		}
		for i, text := range args {
			if err := form(text); err != nil {
				return cli.Usage(c, "%s: %q is none: %v", names[i], text, err)
			}
		}
		return nil
	}
}

// badName is the error of a document whose name is none, as the server tells it.
func badName(name string, err error) error {
	return &cli.Error{
		Message: "the document named " + strings.ToValidUTF8(name, "?") + " breaks a rule", Code: "name.invalid",
		Details: []string{"/name: " + err.Error()}, Next: "correct what is named and repeat",
	}
}
