package main

import (
	"os"

	"github.com/alecthomas/kong"

	"serveflow/packaging/manual"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is the text below the flags.
func (completionCmd) Help() string {
	return `Prints the script that completes serveflow's command line, for a shell to read:
source <(serveflow completion bash). Packages install it.`
}

func (c completionCmd) Run(k *kong.Context) error {
	return manual.Completion(os.Stdout, k.Model, c.Shell)
}
