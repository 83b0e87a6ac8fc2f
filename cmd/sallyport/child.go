package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"sallyport.dev/cmd/internal/cli"
)

// passed are the signals that a child gets from us: what asks a program to end,
// to look again, or tells it that its window changed.
var passed = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGCONT,
}

// runChild runs a program with our input and output to its end, and passes
// signals on to it. An exit code other than 0 becomes ours ([cli.Exit]); of a
// program that a signal ended it is 128 and the signal's number, as in a shell.
func (a *app) runChild(cmd *exec.Cmd) error {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.In, a.Out, a.Err
	signals := make(chan os.Signal, len(passed))
	signal.Notify(signals, passed...) // before it starts: none is to end us and leave it behind
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return cli.Fail("check that it is installed and may be run", "%s could not be started: %v", cmd.Args[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // it may have ended just now
		case err := <-ended:
			return exitOfChild(cmd, err)
		}
	}
}

func exitOfChild(cmd *exec.Cmd, err error) error {
	var exit *exec.ExitError
	if err == nil || !errors.As(err, &exit) {
		if err != nil {
			return fmt.Errorf("running %s: %w", cmd.Args[0], err)
		}
		return nil
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return cli.Exit(128 + int(status.Signal()))
	}
	return cli.Exit(exit.ExitCode())
}
