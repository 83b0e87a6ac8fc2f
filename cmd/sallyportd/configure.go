package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
)

// configuration is what is asked of a configuration without a server.
func configuration(s cli.IO, f *cli.Format) *cobra.Command {
	c := &cobra.Command{
		Use: "config", Short: "The configuration of `sallyportd serve`: check it, print it",
		Example: `  sallyportd config check --config /etc/sallyport/config.yaml
  sallyportd config print --redact --config /etc/sallyport/config.yaml`,
	}
	c.AddCommand(configCheck(s), configPrint(s, f))
	return c
}

func configCheck(s cli.IO) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "check", Short: "Tell everything that is wrong with a configuration, and open nothing",
		Long: `Reads the file and the environment as serve would, and tells everything that is
wrong: settings that are none, values out of range, files that are not there, a
certificate that does not fit its key, a key-encryption key that is none. Run it as
the user that the service runs as. Exit code 0 means that serve would go on from there.`,
		Example: `  sallyportd config check --config /etc/sallyport/config.yaml`,
		Args:    cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if path == "" {
				return cli.Usage(c, "--config is missing")
			}
			l, err := readConfig(path, s.Environment())
			if err == nil {
				_, err = l.sealer()
			}
			if err == nil {
				err = l.checkPair()
			}
			if err == nil {
				_, err = l.notifier(l.gate())
			}
			if err != nil {
				return misconfigured(err)
			}
			for _, name := range l.unused {
				s.Note("%s looks like a setting and is none.", name)
			}
			s.Note("The configuration is right.")
			return nil
		},
	}
	c.Flags().StringVar(&path, "config", "", "the configuration `FILE`")
	return c
}

// settingShown is one setting as it is printed.
type settingShown struct {
	Setting string `json:"setting"`
	Value   any    `json:"value"`
	From    string `json:"from"`
}

func configPrint(s cli.IO, f *cli.Format) *cobra.Command {
	var path string
	redact := true
	c := &cobra.Command{
		Use: "print", Short: "Print every setting as it holds, and where it comes from",
		Long: `Prints what holds once the defaults, the file, systemd's credentials and the
environment are put together, and where each setting comes from. Secrets and
passwords in URLs are never printed: --redact is there for scripts that say so.`,
		Example: `  sallyportd config print --redact --config /etc/sallyport/config.yaml
  sallyportd config print --redact --config /etc/sallyport/config.yaml -o json`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if path == "" {
				return cli.Usage(c, "--config is missing")
			}
			if !redact {
				return cli.Usage(c, "--redact=false: secrets are not printed; they are in the files that the settings name")
			}
			l, err := readConfig(path, s.Environment())
			if err != nil {
				return misconfigured(err)
			}
			shown := l.show()
			return cli.Print(s.Out, *f, shown, func(w io.Writer) error {
				rows := cli.Rows{{"SETTING", "VALUE", "FROM"}}
				for _, x := range shown {
					rows = append(rows, []string{x.Setting, text(x.Value), x.From})
				}
				return rows.Write(w, nil)
			})
		},
	}
	c.Flags().StringVar(&path, "config", "", "the configuration `FILE`")
	c.Flags().BoolVar(&redact, "redact", true, "leave secrets out, which is always so")
	return c
}

// show lists every setting without secrets.
func (l loaded) show() (all []settingShown) {
	for _, s := range settings() {
		if s.group {
			continue
		}
		v := l.value(s)
		switch {
		case s.secret && v.(domain.Secret).IsZero():
			continue // where it is, a file says; or it is needed by nobody
		case s.key == "notify.webhook.url":
			v = withoutPath(v.(string))
		case s.key == "nats.url" || s.key == "tracing.endpoint":
			v = redactURL(v.(string))
		}
		from := l.from[s.key]
		if from == "" {
			from = "default"
		}
		all = append(all, settingShown{s.key, v, from})
	}
	return all
}

// value is what a setting holds.
func (l loaded) value(s setting) any {
	v := reflect.ValueOf(l.Config)
	for name := range strings.SplitSeq(s.key, ".") {
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") == name {
				v = v.Field(i)
				break
			}
		}
	}
	return v.Interface()
}

// text is a value as the file has it.
func text(v any) string {
	if r := reflect.ValueOf(v); r.Kind() == reflect.Slice {
		var items []string
		for i := range r.Len() {
			items = append(items, fmt.Sprint(r.Index(i)))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprint(v)
}
