package main

import (
	"context"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

// tokenVariable is where a caller's token is.
const tokenVariable = "SALLYPORT_TOKEN"

func (a *app) wlExec() *cobra.Command {
	var wants []string
	var role, method string
	var keepToken bool
	c := &cobra.Command{
		Use: "exec --secret ENV=PATH... -- COMMAND [ARGS...]", Short: "Run a command with secrets in its environment",
		Long: `Sees that each secret can be revealed, reveals them and runs the command with the values in its environment, and
nowhere else: not in a file, and not in an argument. If one cannot be revealed, nothing
is started. SALLYPORT_TOKEN is taken out of the command's environment, unless
--keep-token is given.

Input and output are the command's, signals are passed on to it, and its exit code is
ours; 128 and the signal's number if a signal ended it. Of the command's own exit codes
3, 4 and 5 look like ours: what comes from us begins with "sallyport:" on stderr.`,
		Example: `  sallyport wl exec --secret PGPASSWORD=payments/db/password -- psql -h db-1
  sallyport wl exec --role deployer --secret KEY=shop/key --secret CERT=shop/cert -- ./deploy.sh`,
		Args: func(c *cobra.Command, args []string) error {
			if c.ArgsLenAtDash() != 0 || len(args) == 0 {
				return cli.Usage(c, "a command is given after --, such as: sallyport wl exec --secret ENV=PATH -- env")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			secrets, err := parseWants(c, wants, role, method)
			if err != nil {
				return err
			}
			program, err := exec.LookPath(args[0])
			if err != nil {
				return cli.Fail("check its name and PATH", "%s cannot be run: %v", args[0], err)
			}
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			cmd := exec.Command(program, args[1:]...)
			cmd.Args[0] = args[0]
			if cmd.Env, err = a.withSecrets(c.Context(), client, secrets, keepToken); err != nil {
				return err
			}
			return a.runChild(cmd)
		},
	}
	c.Flags().StringArrayVar(&wants, "secret", nil, "put the secret at PATH into the variable ENV, `ENV=PATH`; repeat it for more")
	c.Flags().StringVar(&role, "role", "", "of a workload: the role to use")
	c.Flags().StringVar(&method, "method", "", "id of the access method, where more than one reveals them")
	c.Flags().BoolVar(&keepToken, "keep-token", false, "leave "+tokenVariable+" in the command's environment")
	return c
}

// want is a secret, and the variable it goes into.
type want struct {
	variable string
	sought
}

var variableForm = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]*\z`)

// reserved are variables whose value is code, or leads to it.
var reserved = regexp.MustCompile(`\A(PATH|LD_.*|DYLD_.*|BASH_ENV|ENV|IFS|SHELLOPTS|NODE_OPTIONS|PYTHONPATH|PERL5OPT|RUBYOPT)\z`)

// parseWants reads what is to be revealed into which variable.
func parseWants(c *cobra.Command, texts []string, role, method string) (all []want, err error) {
	if len(texts) == 0 {
		return nil, cli.Usage(c, "--secret is missing")
	}
	for _, text := range texts {
		variable, path, ok := strings.Cut(text, "=")
		switch {
		case !ok || path == "" || !variableForm.MatchString(variable):
			return nil, cli.Usage(c, "--secret is ENV=PATH, such as PGPASSWORD=payments/db/password")
		case reserved.MatchString(variable):
			return nil, cli.Usage(c, "a secret does not go into %s, which says how programs are found and started", variable)
		case slices.ContainsFunc(all, func(w want) bool { return w.variable == variable }):
			return nil, cli.Usage(c, "two secrets cannot be in one variable, %s", variable)
		}
		all = append(all, want{variable, sought{resource: "secret/" + path, role: role, method: method}})
	}
	return all, nil
}

// withSecrets is our environment with the secrets in it; without the token, which
// the command could use as we do, unless it is to be kept.
func (a *app) withSecrets(ctx context.Context, client *client, secrets []want, keepToken bool) ([]string, error) {
	drop := map[string]bool{tokenVariable: !keepToken}
	var found []string
	for i, s := range secrets { // none is revealed, which is an event, unless each can be
		if s.method != "" {
			continue
		}
		id, err := a.openMethod(ctx, client, s.sought)
		if err != nil {
			return nil, named(s.variable, err)
		}
		secrets[i].method = id
	}
	for _, s := range secrets {
		_, value, err := a.reveal(ctx, client, s.sought)
		if err != nil {
			return nil, named(s.variable, err)
		}
		if strings.ContainsRune(value, 0) {
			return nil, cli.Fail("reveal it into a file instead: sallyport secrets reveal", "%s: the value has a zero byte, which no variable can hold", s.variable)
		}
		drop[s.variable] = true
		found = append(found, s.variable+"="+value)
	}
	env := slices.DeleteFunc(slices.Clone(a.Environment()), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return drop[name]
	})
	return append(env, found...), nil
}
