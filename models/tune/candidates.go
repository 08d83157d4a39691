package tune

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/BurntSushi/toml"

	"serveflow/models/tune/search"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/model"
	"serveflow/sidecar/operate/tomltext"
)

// CandidatesFile is the name of the file that describes a directory of
// candidates.
const CandidatesFile = "candidates.toml"

// Candidates is the text of candidates.toml, and what lies beside it.
type Candidates struct {
	Name       string            `toml:"name"`
	Version    string            `toml:"version"`
	Task       string            `toml:"task"`
	Labels     []string          `toml:"labels"`
	Alarms     []string          `toml:"alarms"`     // as in bundle.Manifest
	Background string            `toml:"background"` // as in bundle.Manifest
	Features   bundle.Features   `toml:"features"`
	Agrees     bundle.Agrees     `toml:"agrees"`
	Attack     bundle.Attack     `toml:"attack"`
	Provenance bundle.Provenance `toml:"provenance"`
	Text       Text              `toml:"text"`
	Candidate  []Candidate       `toml:"candidate"`
	// Folds has, for each training capture, the fold that it is of, from 0.
	Folds map[string]int    `toml:"folds"`
	Files map[string]string `toml:"files"` // name to "sha256:<hex>"

	digest string
	data   map[string][]byte
}

// Text is what the datasheet says in words.
type Text struct {
	Use    string `toml:"use"`
	Limits string `toml:"limits"`
	Data   string `toml:"data"`
}

// Candidate is one model on one number of packets.
type Candidate struct {
	Name    string   `toml:"name"`
	Events  string   `toml:"events"` // "packet" or "meta"
	Packets int      `toml:"packets"`
	Model   string   `toml:"model"` // file name
	Kind    string   `toml:"kind"`  // as in bundle.Stage
	Folds   []string `toml:"folds"` // files of the models without that fold
	About   string   `toml:"about"` // how it was trained
}

// maxCandidates bounds candidates.toml, which lists the training captures.
const maxCandidates = 64 << 20

// maxModels bounds the models of a directory, together.
const maxModels = 8 << 30

// ReadCandidates reads and checks a directory of candidates.
func ReadCandidates(dir string) (*Candidates, error) {
	c, err := readCandidates(os.DirFS(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("candidates %s: %w: let models/train make it", dir, err)
	} else if err != nil {
		return nil, fmt.Errorf("candidates %s: %w", dir, err)
	}
	return c, nil
}

func readCandidates(fsys fs.FS) (*Candidates, error) {
	info, err := fs.Stat(fsys, CandidatesFile)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxCandidates {
		return nil, fmt.Errorf("%s: larger than %d MiB", CandidatesFile, maxCandidates>>20)
	}
	text, err := fs.ReadFile(fsys, CandidatesFile)
	if err != nil {
		return nil, err
	}
	c := &Candidates{digest: bundle.Digest(text)}
	if err := tomltext.Check(text); err != nil {
		return nil, fmt.Errorf("%s: %w", CandidatesFile, err)
	}
	meta, err := toml.Decode(string(text), c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", CandidatesFile, err)
	}
	var errs []error
	for _, key := range meta.Undecoded() {
		errs = append(errs, fmt.Errorf("%s: %s: no such field", CandidatesFile, key))
	}
	if err := errors.Join(append(errs, c.check()...)...); err != nil {
		return nil, err
	}
	c.data, err = bundle.ReadFiles(fsys, c.Files, maxModels)
	return c, err
}

func (c *Candidates) check() (errs []error) {
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(CandidatesFile+": "+format, args...))
	}
	if len(c.Labels) < 2 {
		bad("labels: give at least two")
	}
	for _, err := range bundle.CheckRoles(c.Labels, c.Alarms, c.Background) {
		bad("%w", err)
	}
	if len(c.Candidate) == 0 {
		bad("candidate: there is none")
	}
	seen := map[string]bool{}
	for _, one := range c.Candidate {
		at := fmt.Sprintf("candidate %q", one.Name)
		if seen[one.Name] {
			bad("%s: stands there twice", at)
		}
		seen[one.Name] = true
		if one.Events != "packet" && one.Events != "meta" {
			bad("%s: events: %q: use packet or meta", at, one.Events)
		}
		if one.Packets < 1 || one.Packets > c.Features.Packets {
			bad("%s: packets: %d: give 1 to features.packets, %d", at, one.Packets, c.Features.Packets)
		}
		if len(one.Folds) < 2 {
			bad("%s: folds: %d: two are the fewest", at, len(one.Folds))
		}
		for _, file := range append([]string{one.Model, one.Model + bundle.GoldenSuffix}, one.Folds...) {
			if _, ok := c.Files[file]; !ok {
				bad("%s: %s is not listed under [files]", at, file)
			}
		}
		for session, fold := range c.Folds {
			if fold < 0 || fold >= len(one.Folds) {
				bad("folds: %s: fold %d of %d", session, fold, len(one.Folds))
				break
			}
		}
	}
	return errs
}

// class is the class of a label, -1 of none: what the candidates do not know is
// background, if they know of one.
func (c *Candidates) class(label string) int {
	if i := slices.Index(c.Labels, label); i >= 0 {
		return i
	}
	return slices.Index(c.Labels, c.Background)
}

// roles are the roles of the labels.
func (c *Candidates) roles() []search.Role {
	roles := make([]search.Role, len(c.Labels))
	for i, label := range c.Labels {
		switch {
		case slices.Contains(c.Alarms, label):
			roles[i] = search.Alarm
		case label == c.Background:
			roles[i] = search.Background
		}
	}
	return roles
}

// of returns the candidates for a kind of events.
func (c *Candidates) of(events string) []Candidate {
	return slices.DeleteFunc(slices.Clone(c.Candidate), func(one Candidate) bool { return one.Events != events })
}

// loaded is a candidate with its models.
type loaded struct {
	Candidate
	whole asked
	folds []asked
}

// asked is a model, and how its rows are made.
type asked struct {
	model model.Model
	plan  *feature.Plan
}

// load loads the models of a candidate.
func (c *Candidates) load(one Candidate, o bundle.Options) (*loaded, error) {
	masks, err := feature.ParseMasks(c.Features.Masks)
	if err != nil {
		return nil, err
	}
	l := &loaded{Candidate: one}
	load := func(file string, golden []byte) (asked, error) {
		m, err := bundle.LoadModel(one.Kind, c.data[file], golden, len(c.Labels), o)
		if err != nil {
			if m != nil {
				err = errors.Join(err, m.Close())
			}
			return asked{}, fmt.Errorf("%s: %w", file, err)
		}
		plan, err := feature.Compile(m.Columns(), masks)
		if err == nil && plan.Packets() > one.Packets {
			err = fmt.Errorf("a column looks at packet %d of %d", plan.Packets(), one.Packets)
		}
		if err == nil && one.Events == "meta" && plan.NeedsHeaders() {
			err = errors.New("a column needs headers, which these taps do not see")
		}
		if err != nil {
			return asked{}, errors.Join(fmt.Errorf("%s: %w", file, err), m.Close())
		}
		return asked{model: m, plan: plan}, nil
	}
	if l.whole, err = load(one.Model, c.data[one.Model+bundle.GoldenSuffix]); err != nil {
		return nil, err
	}
	for _, file := range one.Folds {
		fold, err := load(file, nil)
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.folds = append(l.folds, fold)
	}
	return l, nil
}

func (l *loaded) close() error {
	errs := []error{l.whole.model.Close()}
	for _, f := range l.folds {
		errs = append(errs, f.model.Close())
	}
	return errors.Join(errs...)
}

// model is the one to ask about flows of a capture: for a training capture the
// one that has not seen it.
func (l *loaded) of(fold int) *asked {
	if fold < 0 {
		return &l.whole
	}
	return &l.folds[fold]
}
