package main

import (
	"os"
	"time"

	"github.com/alecthomas/kong"

	"serveflow/packaging/manual"
)

// manualCmd writes the manual page, for packages.
type manualCmd struct {
	Date int64 `env:"SOURCE_DATE_EPOCH" required:"" placeholder:"SECONDS" help:"Date of the page, as Unix time."`
}

func (m manualCmd) Run(k *kong.Context) error {
	return manual.WritePage(os.Stdout, k.Model, time.Unix(m.Date, 0), []manual.Exit{
		{Code: 0, Meaning: "It worked"},
		{Code: exitFailure, Meaning: "It did not work"},
		{Code: exitUsage, Meaning: "The command line is wrong"},
		{Code: exitConfig, Meaning: "The configuration, a bundle, a manifest or labels are wrong; trying again does not help"},
	})
}
