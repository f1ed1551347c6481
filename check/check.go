// Package check predicts which calls of a program the kernel will kill it for.
//
// A program is judged call by call. The scanners of arm64 and amd64 find the instructions that reach a function of the
// [catalog]; the flow engine says what its arguments can be; a judge for that function says which restriction they
// violate, from which level on, and how well that is proven. What is proven not to violate is no finding.
//
// The level is that of the process, so a framework is judged by the program that loads it. While files are walked
// through, a few at a time, only a [module] is kept of each image; at the end the modules are joined and each call is
// judged at the level of the programs it ends up in.
package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

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
	// Arch restricts the check to slices of one architecture (arm64 takes arm64e in, x86_64 x86_64h); "" checks all.
	Arch string
	// Symbols are paths of debug symbols beside those that are among what is checked: dSYM bundles, unstripped images,
	// archives or folders of these. They are read only where a finding has no source line.
	Symbols []string
	// Limits bound what archives may cost; zero fields are the defaults.
	Limits container.Limits
	// Progress, where not nil, is told of each file before it is read.
	Progress func(name string, size int64)
}

// Run checks the files, bundles, archives and folders at paths. The error is not nil only where ctx ended; what could
// not be read is in the report.
func Run(ctx context.Context, paths []string, opts Options) (*finding.Report, error) {
	c := newChecker(opts)
	for _, p := range paths {
		before := c.met + len(c.report.Unread)
		stats, err := c.walk(ctx, p)
		c.report.Summary.Files += stats.Files
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			c.unreadable(finding.Unread{Path: p, Reason: err.Error()})
		}
		if c.met+len(c.report.Unread) == before {
			c.nothingAt(p, stats, len(paths))
		}
	}
	c.addLines(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.judge()
	return &c.report, nil
}

// walk reads all that is at a path. What is found is put together in the order of the files, whichever was done first.
func (c *checker) walk(ctx context.Context, p string) (container.Stats, error) {
	var mu sync.Mutex
	var parts []*part
	visit := func(it container.Item) error {
		found := c.read(it)
		mu.Lock()
		defer mu.Unlock()
		parts = append(parts, found)
		return nil
	}
	stats, err := container.Walk(ctx, p, container.Options{Want: want, Limits: c.opts.Limits,
		Beside: runtime.GOMAXPROCS(0)}, visit, c.unreadable)
	slices.SortFunc(parts, func(a, b *part) int { return a.number - b.number })
	for _, found := range parts {
		c.take(found)
	}
	return stats, err
}

// nothingAt tells of a path that holds nothing to check. Of a single folder or archive the sum says it.
func (c *checker) nothingAt(p string, stats container.Stats, paths int) {
	st, err := os.Stat(p)
	switch {
	case err == nil && st.Mode().IsRegular() && stats.Archives == 0:
		c.unreadable(finding.Unread{Path: p, Reason: "neither a Mach-O file nor an archive"})
	case paths > 1:
		c.report.Notes = append(c.report.Notes, finding.Note{Path: p, Message: "holds no Mach-O file"})
	}
}

// checker gathers what is found along the way.
type checker struct {
	opts    Options
	report  finding.Report
	modules []*module
	infos   map[string]container.Info // by path of the bundle
	symbols map[macho.UUID]place
	met     int  // Mach-O files, also those out of scope
	passed  bool // some of those has no image of the architecture asked for

	slots chan struct{} // taken by each image while it is scanned

	mu   sync.Mutex     // of what follows, and of Progress
	seen map[place]bool // files read, by absolute path
}

// part is what is found in one file.
type part struct {
	number  int // of the file in its walk
	opts    *Options
	slots   chan struct{}
	met     int
	bytes   int64
	images  int
	passed  bool
	modules []*module
	info    map[string]container.Info
	symbols map[macho.UUID]place
	notes   []finding.Note
	unread  []finding.Unread
}

// take adds what was found in a file.
func (c *checker) take(p *part) {
	c.met += p.met
	c.passed = c.passed || p.passed
	c.report.Summary.Bytes += p.bytes
	c.report.Summary.Images += p.images
	c.modules = append(c.modules, p.modules...)
	maps.Copy(c.infos, p.info)
	maps.Copy(c.symbols, p.symbols)
	c.report.Notes = append(c.report.Notes, p.notes...)
	c.report.Unread = append(c.report.Unread, p.unread...)
}

// place is where a file was met.
type place struct{ path, member string }

func newChecker(opts Options) *checker {
	return &checker{opts: opts, infos: map[string]container.Info{}, symbols: map[macho.UUID]place{}, seen: map[place]bool{},
		slots: make(chan struct{}, runtime.GOMAXPROCS(0)), report: finding.Report{Moment: finding.MomentCheck}}
}

// want picks the files that matter: Mach-O in any form, and the description of bundles.
func want(name string, head []byte) bool {
	return macho.Recognized(head) || path.Base(name) == "Info.plist"
}

func (c *checker) unreadable(u finding.Unread) { c.report.Unread = append(c.report.Unread, u) }

func (p *part) unreadable(u finding.Unread) { p.unread = append(p.unread, u) }

func (p *part) note(it container.Item, format string, args ...any) {
	p.notes = append(p.notes, finding.Note{
		Path: it.Path, Member: it.Member, Message: fmt.Sprintf(format, args...)})
}

// read reads one file. Several may be read at a time.
func (c *checker) read(it container.Item) *part {
	p := &part{number: it.Number, opts: &c.opts, slots: c.slots}
	if c.twice(it) {
		p.met++ // there is something at this path, too
		return p
	}
	c.tell(it)
	if macho.Recognized(it.Data) {
		p.read(it)
	} else {
		p.readInfo(it)
	}
	return p
}

// read reads a Mach-O file.
func (p *part) read(it container.Item) {
	file, err := macho.Parse(it.Data)
	if err != nil {
		p.broken(it, err)
		return
	}
	if len(file.Images) == 0 && file.Archive {
		for _, err := range file.Errors {
			if !errors.Is(err, macho.ErrNotMachO) { // a static library of another system
				p.broken(it, err)
			}
		}
		return
	}
	p.met++
	p.bytes += it.Size
	for _, err := range file.Errors {
		p.broken(it, err)
	}
	p.readImages(it, file.Images)
}

// tell says that a file is about to be read.
func (c *checker) tell(it container.Item) {
	if c.opts.Progress == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opts.Progress(it.Name(), it.Size)
}

// twice tells whether a file was read already, because two of the paths to check lead to it.
func (c *checker) twice(it container.Item) bool {
	at := place{it.Path, it.Member}
	if abs, err := filepath.Abs(it.Path); err == nil {
		at.path = abs
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[at] {
		return true
	}
	c.seen[at] = true
	return false
}

// readInfo remembers what a bundle says about itself.
func (p *part) readInfo(it container.Item) {
	b, ok := container.BundleOf(it.Name())
	if !ok || !b.IsInfo(it.Name()) {
		return
	}
	if info, err := container.ReadInfo(it.Data); err == nil {
		p.info = map[string]container.Info{b.Path: info}
	} else {
		p.unreadable(finding.Unread{Path: it.Path, Member: it.Member, Reason: err.Error()})
	}
}

// broken lists damage.
func (p *part) broken(it container.Item, err error) {
	u := finding.Unread{Path: it.Path, Member: it.Member, Reason: err.Error()}
	var f *macho.FormatError
	if errors.As(err, &f) {
		u.Offset = f.Offset
		u.Member = joinMember(u.Member, f.Member)
	}
	p.unreadable(u)
}

// readImages scans the images of one file, several at a time.
func (p *part) readImages(it container.Item, images []*macho.Image) {
	modules := make([]*module, len(images))
	var group crew
	if !slices.ContainsFunc(images, p.opts.selected) {
		p.passed = true
	}
	outOfScope := map[string]bool{}
	simulators := map[string]bool{}
	for i, img := range images {
		switch {
		case !p.opts.selected(img):
			continue
		case !img.InScope():
			outOfScope[img.Arch] = true
			continue
		case img.Type == macho.DSYM:
			if p.symbols == nil {
				p.symbols = map[macho.UUID]place{}
			}
			p.symbols[img.UUID] = place{it.Path, it.Member}
			continue
		case img.Type == macho.Kext:
			p.note(it, "out of scope: kernel extensions are no processes")
			continue
		case img.Simulator():
			simulators[img.Arch] = true
			continue
		}
		p.images++
		p.slots <- struct{}{}
		group.Go(func() {
			defer func() { <-p.slots }()
			modules[i] = newModule(it, img, peersOf(img, images))
		})
	}
	group.Wait()
	for i, m := range modules {
		if m == nil {
			continue
		}
		p.modules = append(p.modules, m)
		if images[i].Encrypted() {
			p.unreadable(finding.Unread{Path: it.Path, Member: joinMember(it.Member, m.archived), Offset: images[i].Offset,
				Reason: "encrypted by the App Store: its code cannot be read; check the app as it was before upload"})
		}
		for _, err := range images[i].Problems() {
			p.broken(it, err)
		}
		known := func(problem error) bool { return errors.Is(m.unsigned, problem) }
		if m.unsigned != nil && !slices.ContainsFunc(images[i].Problems(), known) {
			p.unreadable(finding.Unread{Path: it.Path, Member: it.Member, Offset: images[i].CodeSignatureOffset(),
				Reason: "judged without its entitlements: " + m.unsigned.Error()})
		}
	}
	if len(outOfScope) > 0 {
		p.note(it, "%s out of scope: the restrictions exist on arm64 and x86_64 only", list(outOfScope))
	}
	if len(simulators) > 0 {
		p.note(it, "%s out of scope: built for a simulator, where no restriction applies", list(simulators))
	}
}

// list writes a set in order.
func list(set map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(set)), ", ") }

// selected tells whether an image has the architecture that was asked for.
func (o *Options) selected(img *macho.Image) bool {
	return o.Arch == "" || img.Arch == o.Arch || o.Arch == "arm64" && img.Arch == "arm64e" ||
		o.Arch == "x86_64" && img.Arch == "x86_64h"
}

// peersOf returns the object files of a library that are linked together with one of them.
func peersOf(img *macho.Image, images []*macho.Image) []*macho.Image {
	if img.Type != macho.Object || img.Member == "" {
		return nil
	}
	var out []*macho.Image
	for _, other := range images {
		if other.Type == macho.Object && other.Arch == img.Arch && !other.Simulator() {
			out = append(out, other)
		}
	}
	return out
}

// newModule scans an image and keeps what is needed once its bytes are gone.
func newModule(it container.Item, img *macho.Image, peers []*macho.Image) *module {
	m := &module{path: it.Path, member: it.Member, archived: img.Member, arch: img.Arch, kind: img.Type, uuid: img.UUID}
	if img.Install != nil {
		m.install = img.Install.Name
	}
	for _, d := range img.Dylibs {
		m.loads = append(m.loads, d.Name)
	}
	m.loads, m.rpaths = distinct(m.loads), distinct(img.RPaths)
	if img.Type == macho.Execute {
		m.readEntitlements(img)
	}
	if !img.Encrypted() {
		m.hits = scanImage(img, peers)
		recognise(m, img)
	}
	return m
}

// judge joins the modules and writes the findings.
func (c *checker) judge() {
	links := loaders(c.modules, c.infos)
	if !links.complete {
		c.report.Notes = append(c.report.Notes, finding.Note{Message: "too many programs and libraries load one another " +
			"to follow them all; libraries that no program was found for are judged at level 2"})
	}
	if c.passed && c.report.Summary.Images == 0 {
		c.report.Notes = append(c.report.Notes, finding.Note{
			Message: "no Mach-O file that was met has an image for " + c.opts.Arch})
	}
	j := judgement{c.opts.Level}
	levels := map[rules.Level]bool{}
	judged := map[*module][]judgedHit{}
	for _, m := range c.modules {
		m.versionFromBundle(c.infos)
		l := links.by[m]
		if m.kind == macho.Execute {
			l.add(loader{program: m, chain: []*module{m}})
			levels[m.level()] = true
		}
		for _, jh := range j.findings(m, l) {
			if f := jh.finding; f.Confidence.Rank() >= c.opts.MinConfidence.Rank() {
				c.report.Findings = append(c.report.Findings, *f)
				levels[*f.Level] = true
				judged[m] = append(judged[m], jh)
			}
		}
		for _, r := range m.decision.Refusals {
			c.report.Notes = append(c.report.Notes, finding.Note{Path: m.path, Member: m.member,
				Message: "the kernel refuses to start this program: " + r.Key + ": " + r.Reason})
		}
	}
	c.takeInventory(links, judged)
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
