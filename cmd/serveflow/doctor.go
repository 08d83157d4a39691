package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"serveflow"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/doctor"
)

// installedConfig is where packages put the configuration.
const installedConfig = "/etc/serveflow/serveflow.toml"

type doctorCmd struct {
	Config string `short:"c" type:"existingfile" placeholder:"FILE" help:"Configuration of the sidecar. Default: /etc/serveflow/serveflow.toml, if it is there."`
}

// Help is the text below the flags.
func (doctorCmd) Help() string {
	return `Looks at the configuration, the sockets and who may reach them, the IDSs that run, what
the running sidecar says of its taps and losses, and the kernel's settings. What is
wrong comes with the line to change. Nothing is changed. Run it as root.`
}

func (d doctorCmd) Run(ctx context.Context) error {
	if d.Config == "" {
		if _, err := os.Stat(installedConfig); err == nil {
			d.Config = installedConfig
		}
	}
	l, err := configFlags{Config: d.Config}.load()
	if err != nil {
		return err
	}
	name, shadow := l.Bundle.Name(), ""
	if l.Shadow != nil {
		shadow = l.Shadow.Name()
	}
	if err := closing(nil, l.Bundle, l.Shadow); err != nil {
		return err
	}
	return d.examine(ctx, l.Config, name, shadow)
}

func (d doctorCmd) examine(ctx context.Context, c config.Config, bundle, shadow string) error {
	wrong, err := doctor.Write(os.Stdout, doctor.Examine(ctx, doctor.Options{
		Config: c, File: d.Config, Bundle: bundle, Shadow: shadow, Version: serveflow.Version(), Proc: "/proc", Now: time.Now,
	}))
	if err == nil && wrong > 0 {
		err = fmt.Errorf("things that are wrong: %d", wrong)
	}
	return err
}
