// Package check predicts which calls of a program the kernel will kill it for.
//
// A program is judged call by call. The scanners of arm64 and amd64 find the instructions that reach a function of the
// [catalog]; the flow engine says what its arguments can be; a judge for that function says which restriction they
// violate, from which level on, and how well that is proven. What is proven not to violate is no finding.
//
// The level is that of the process, so a framework is judged by the program that loads it. While files are walked
// through, one at a time, only a [module] is kept of each image; at the end the modules are joined and each call is
// judged at the level of the programs it ends up in.
package check

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"portcullis.dev/entitlement"
	"portcullis.dev/finding"
	"portcullis.dev/macho"
	"portcullis.dev/macho/container"
	"portcullis.dev/rules"
)

// Options say how to check.
type Options struct {
	// Level to judge at; nil: the level each program declares, or 2 where it declares none.
	Level *rules.Level
	// MinConfidence leaves out findings below it; "" keeps all.
	MinConfidence finding.Confidence
	// Arch restricts the check to slices of one architecture (arm64 takes arm64e in); "" checks all.
	Arch string
	// Limits bound what archives may cost; zero fields are the defaults.
	Limits container.Limits
	// Progress, where not nil, is told of each file before it is read.
	Progress func(name string, size int64)
}

// Run checks the files, bundles, archives and folders at paths. The error is not nil only where ctx ended; what could
// not be read is in the report.
func Run(ctx context.Context, paths []string, opts Options) (*finding.Report, error) {
	c := &checker{opts: opts, infos: map[string]container.Info{}, symbols: map[macho.UUID]place{}}
	for _, p := range paths {
		stats, err := container.Walk(ctx, p, container.Options{Want: want, Limits: opts.Limits}, c.visit, c.unreadable)
		c.report.Summary.Files += stats.Files
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			c.unreadable(finding.Unread{Path: p, Reason: err.Error()})
		}
	}
	c.addLines(ctx)
	c.judge()
	return &c.report, nil
}

// checker gathers what is found along the way.
type checker struct {
	opts    Options
	report  finding.Report
	modules []*module
	infos   map[string]container.Info // by path of the bundle
	symbols map[macho.UUID]place
}

// place is where a file was met.
type place struct{ path, member string }

// want picks the files that matter: Mach-O in any form, and the description of bundles.
func want(name string, head []byte) bool {
	return macho.Recognized(head) || path.Base(name) == "Info.plist"
}

func (c *checker) unreadable(u finding.Unread) { c.report.Unread = append(c.report.Unread, u) }

func (c *checker) note(it container.Item, format string, args ...any) {
	c.report.Notes = append(c.report.Notes, finding.Note{
		Path: it.Path, Member: it.Member, Message: fmt.Sprintf(format, args...)})
}

// visit reads one file.
func (c *checker) visit(it container.Item) error {
	if c.opts.Progress != nil {
		c.opts.Progress(it.Name(), it.Size)
	}
	if !macho.Recognized(it.Data) {
		c.info(it)
		return nil
	}
	file, err := macho.Parse(it.Data)
	if err != nil {
		c.broken(it, err)
		return nil
	}
	if len(file.Images) == 0 && file.Archive {
		return nil // a static library of another system
	}
	c.report.Summary.Bytes += it.Size
	for _, err := range file.Errors {
		c.broken(it, err)
	}
	c.images(it, file.Images)
	return nil
}

// info remembers what a bundle says about itself.
func (c *checker) info(it container.Item) {
	b, ok := container.BundleOf(it.Name())
	if !ok || !b.IsInfo(it.Name()) {
		return
	}
	if info, err := container.ReadInfo(it.Data); err == nil {
		c.infos[b.Path] = info
	} else {
		c.unreadable(finding.Unread{Path: it.Path, Member: it.Member, Reason: err.Error()})
	}
}

// broken lists damage.
func (c *checker) broken(it container.Item, err error) {
	u := finding.Unread{Path: it.Path, Member: it.Member, Reason: err.Error()}
	var f *macho.FormatError
	if errors.As(err, &f) {
		u.Offset = f.Offset
		u.Member = joinMember(u.Member, f.Member)
	}
	c.unreadable(u)
}

// images scans the images of one file, several at a time.
func (c *checker) images(it container.Item, images []*macho.Image) {
	modules := make([]*module, len(images))
	var group sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	outOfScope := map[string]bool{}
	simulators := 0
	for i, img := range images {
		switch {
		case !c.selected(img):
			continue
		case !img.InScope():
			outOfScope[img.Arch] = true
			continue
		case img.Type == macho.DSYM:
			c.symbols[img.UUID] = place{it.Path, it.Member}
			continue
		case img.Type == macho.Kext || img.Type == macho.FileSet || img.Type == macho.Core:
			c.note(it, "%s is out of scope: %s", img.Arch, outOfScopeKinds[img.Type])
			continue
		case img.Simulator():
			simulators++
			continue
		}
		c.report.Summary.Images++
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			modules[i] = newModule(it, img)
		})
	}
	group.Wait()
	for i, m := range modules {
		if m == nil {
			continue
		}
		c.modules = append(c.modules, m)
		if images[i].Encrypted() {
			c.unreadable(finding.Unread{Path: it.Path, Member: joinMember(it.Member, m.archived), Offset: images[i].Offset,
				Reason: "encrypted by the App Store: its code cannot be read; check the app as it was before upload"})
		}
		for _, err := range images[i].Problems() {
			c.broken(it, err)
		}
	}
	if len(outOfScope) > 0 {
		archs := make([]string, 0, len(outOfScope))
		for a := range outOfScope {
			archs = append(archs, a)
		}
		slices.Sort(archs)
		c.note(it, "%s out of scope: the restrictions exist on arm64 and x86_64 only", strings.Join(archs, ", "))
	}
	if simulators > 0 {
		c.note(it, "built for a simulator, where no restriction applies")
	}
}

var outOfScopeKinds = map[macho.Type]string{
	macho.Kext:    "kernel extensions are no processes",
	macho.FileSet: "a kernel collection is no process",
	macho.Core:    "a core file holds memory, not a program",
}

// selected tells whether an image has the architecture that was asked for.
func (c *checker) selected(img *macho.Image) bool {
	return c.opts.Arch == "" || img.Arch == c.opts.Arch || c.opts.Arch == "arm64" && img.Arch == "arm64e"
}

// newModule scans an image and keeps what is needed once its bytes are gone.
func newModule(it container.Item, img *macho.Image) *module {
	m := &module{path: it.Path, member: it.Member, archived: img.Member, arch: img.Arch, kind: img.Type, uuid: img.UUID}
	if img.Install != nil {
		m.install = img.Install.Name
	}
	for _, d := range img.Dylibs {
		m.loads = append(m.loads, d.Name)
	}
	if img.Type == macho.Execute {
		if in, err := entitlement.FromImage(img); err == nil {
			m.decision = entitlement.Decide(in)
			m.declares = m.decision.Version > 0
		}
	}
	if !img.Encrypted() {
		m.hits = scanImage(img)
		recognise(m, img)
	}
	return m
}

// judge joins the modules and writes the findings.
func (c *checker) judge() {
	by := loaders(c.modules, c.infos)
	j := judgement{c.opts.Level}
	levels := map[rules.Level]bool{}
	for _, m := range c.modules {
		m.versionFromBundle(c.infos)
		programs := by[m]
		if m.kind == macho.Execute {
			programs = []loader{{program: m, chain: []*module{m}}}
			levels[m.level()] = true
		}
		for _, f := range j.findings(m, programs) {
			if f.Confidence.Rank() >= c.opts.MinConfidence.Rank() {
				c.report.Findings = append(c.report.Findings, f)
			}
		}
		for _, r := range m.decision.Refusals {
			c.report.Notes = append(c.report.Notes, finding.Note{Path: m.path, Member: m.member,
				Message: "the kernel refuses to start this program: " + r.Key + ": " + r.Reason})
		}
	}
	c.report.Summary.Level = c.judgedLevel(levels)
}

// judgedLevel names the level for the summary.
func (c *checker) judgedLevel(levels map[rules.Level]bool) string {
	switch {
	case c.opts.Level != nil:
		return c.opts.Level.String()
	case len(levels) > 1:
		return "declared"
	}
	for l := range levels {
		return l.String()
	}
	return rules.Level2.String()
}
