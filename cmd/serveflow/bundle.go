package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"aead.dev/minisign"
	"golang.org/x/term"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/credentials"
	"serveflow/sidecar/operate/terminal"
	"serveflow/sidecar/operate/wholefile"
)

// bundleCmd are the commands on bundles as they are kept and moved.
type bundleCmd struct {
	Pack    packCmd    `cmd:"" help:"Write a bundle as one archive, the same bytes each time."`
	Sign    signCmd    `cmd:"" help:"Sign a bundle's manifest with a key of minisign."`
	Verify  verifyCmd  `cmd:"" help:"Check a bundle's files and its signature."`
	Inspect inspectCmd `cmd:"" help:"Print what a bundle is, or its bill of materials."`
}

type packCmd struct {
	Output string `short:"o" required:"" placeholder:"FILE" help:"Archive to write."`
	Bundle string `arg:"" help:"Name of an embedded bundle, or a directory."`
}

func (p packCmd) Run() error {
	fsys, err := bundle.Find(p.Bundle)
	if err != nil {
		return configError{err}
	}
	return wholefile.Write(p.Output, func(f *os.File) error { return bundle.Pack(f, fsys) })
}

type signCmd struct {
	Key    string `required:"" type:"existingfile" placeholder:"FILE" help:"Secret key, as \"minisign -G\" makes it. Its password is asked for, or read from standard input."`
	Bundle string `arg:"" type:"existingdir" help:"Directory of the bundle, which gets a manifest.toml.minisig."`
}

// maxKey is the most bytes of a secret key, comments included.
const maxKey = 16 << 10

func (s signCmd) Run() error {
	text, err := credentials.Read(s.Key, maxKey)
	if err != nil {
		return err
	}
	var key minisign.PrivateKey
	if minisign.IsEncrypted(text) {
		password, err := readPassword()
		if err != nil {
			return err
		}
		key, err = minisign.DecryptKey(password, text)
		if err != nil {
			return fmt.Errorf("%s: %w: is the password right?", s.Key, err)
		}
	} else if err := key.UnmarshalText(text); err != nil {
		return fmt.Errorf("%s is no secret key of minisign: %w", s.Key, err)
	}
	if err := bundle.Sign(s.Bundle, key); err != nil {
		return configError{fmt.Errorf("bundle %s: %w", s.Bundle, err)}
	}
	return nil
}

// readPassword reads a line, from a terminal without showing it.
func readPassword() (string, error) {
	if in := int(os.Stdin.Fd()); term.IsTerminal(in) {
		fmt.Fprint(os.Stderr, "password of the key: ")
		text, err := term.ReadPassword(in)
		fmt.Fprintln(os.Stderr)
		return string(text), err
	}
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}

type verifyCmd struct {
	Config string   `short:"c" type:"existingfile" xor:"keys" placeholder:"FILE" help:"Configuration whose trusted_keys are used. This or --key."`
	Key    []string `xor:"keys" placeholder:"KEY" help:"Public key of minisign, \"RW\" and 54 more characters."`
	Bundle string   `arg:"" help:"Directory or archive of the bundle."`
}

func (v verifyCmd) Run() error {
	keys := v.Key
	if v.Config != "" {
		c, err := config.Load(v.Config)
		if err != nil {
			return configError{err}
		}
		keys = c.TrustedKeys
	}
	if len(keys) == 0 {
		return errors.New("no key to verify with: give --key, or a configuration with trusted_keys")
	}
	m, key, err := bundle.Verify(v.Bundle, keys)
	if err != nil {
		return configError{err}
	}
	fmt.Printf("%s@%s: %d files as the manifest lists them; signed by %s\n", m.Name, m.Version, len(m.Files), key)
	return nil
}

type inspectCmd struct {
	BOM    bool   `xor:"what" help:"Print the bill of materials as CycloneDX 1.6."`
	Attack bool   `xor:"what" help:"Print the labels' techniques of MITRE ATT&CK as JSON, for other programs."`
	Bundle string `arg:"" help:"Name of an embedded bundle, a directory or an archive."`
}

func (i inspectCmd) Run() error {
	m, text, err := bundle.ReadManifest(i.Bundle)
	if err != nil {
		return configError{err}
	}
	if i.BOM {
		return m.WriteBOM(os.Stdout, text)
	}
	if i.Attack {
		if m.Attack == nil {
			m.Attack = bundle.Attack{}
		}
		return json.NewEncoder(os.Stdout).Encode(m.Attack)
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, strings.ReplaceAll(terminal.Clean(value), "\n", " "))
		}
	}
	row("bundle", m.Name+"@"+m.Version)
	row("task", m.Task)
	row("labels", strings.Join(m.Labels, ", "))
	row("alarms", strings.Join(m.Alarms, ", "))
	row("background", m.Background)
	for _, label := range m.Attack.Words() {
		row("ATT&CK", label)
	}
	for _, c := range []struct {
		flows  string
		stages []bundle.Stage
	}{{"with headers", m.Packet.Stage}, {"without headers", m.Meta.Stage}} {
		for _, s := range c.stages {
			row("stage "+c.flows, fmt.Sprintf("%s: %s on %d packets, %s", s.Name, s.Kind, s.Packets, s.Model))
		}
	}
	row("data", m.Provenance.Data)
	row("licence", m.Provenance.Licence)
	row("trained", strings.TrimSpace(m.Provenance.Trained+" "+m.Provenance.Trainer))
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		row("file", name+" "+m.Files[name])
	}
	return t.Flush()
}
