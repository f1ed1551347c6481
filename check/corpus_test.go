package check

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis.dev/finding"
	"portcullis.dev/internal/corpus"
	"portcullis.dev/internal/raced"
	"portcullis.dev/macho"
	"portcullis.dev/macho/container"
	"portcullis.dev/rules"
)

// sheet is what reading the disassembly of a published package told: every reference to a function of the catalog, and
// what it comes to. It was written down before check was first run on the package. Whatever check says beyond it is
// wrong.
type sheet struct {
	Package string       `json:"package"`         // name@version
	About   string       `json:"about"`           // why it is in the corpus
	Images  int          `json:"images"`          // slices and members of libraries that are in scope, simulators left out
	Large   bool         `json:"large,omitempty"` // too large for the race detector, to which it has nothing new to tell
	Sites   []sheetSite  `json:"sites"`
	Missed  []sheetBlind `json:"missed,omitempty"` // what may be wrong there and check does not look at
}

// sheetSite is one call.
type sheetSite struct {
	Members   []string          `json:"members"` // where it stands in the package, once for each copy
	Arch      string            `json:"arch"`
	Address   string            `json:"address"` // of the call instruction
	Callee    string            `json:"callee"`
	Function  string            `json:"function,omitempty"`
	Line      string            `json:"line,omitempty"`      // of the source, by the debug information: "file.c:12"
	Arguments map[string]string `json:"arguments,omitempty"` // those that are one constant, or few
	Kills     string            `json:"kills"`               // at level 2: yes, no, or depends on what ran before
	From      string            `json:"from,omitempty"`      // lowest level that kills; "": 1
	Why       string            `json:"why"`
	// The confidence that one function alone, and knowing the software, can give: "" for no finding.
	AtLeast  finding.Confidence `json:"at_least,omitempty"`
	AtMost   finding.Confidence `json:"at_most,omitempty"`
	Software string             `json:"software,omitempty"` // start of the name of the known software
	Missed   string             `json:"missed,omitempty"`   // what check cannot see, so that it is less sure than it could be
}

type sheetBlind struct {
	Where string `json:"where"`
	Why   string `json:"why"`
}

// places are where its findings are expected: member, architecture and address.
func (s *sheetSite) places() []string {
	var out []string
	for _, m := range s.Members {
		out = append(out, m+" "+s.Arch+" "+s.Address)
	}
	return out
}

func readSheets(t *testing.T) []sheet {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "corpus", "*.json"))
	if err != nil || len(files) < 30 {
		t.Fatalf("%d sheets: %v", len(files), err)
	}
	var out []sheet
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.DisallowUnknownFields()
		var s sheet
		if err := d.Decode(&s); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out = append(out, s)
	}
	return out
}

// The sheets ask for nothing impossible, and leave nothing open.
func TestCorpusSheets(t *testing.T) {
	violators := map[string]bool{}
	registered, resolved := 0, 0
	for _, s := range readSheets(t) {
		seen := map[string]bool{}
		for _, site := range s.Sites {
			name := s.Package + " " + site.Address
			if _, err := strconv.ParseUint(site.Address, 0, 64); err != nil || len(site.Members) == 0 || site.Why == "" {
				t.Errorf("%s: incomplete: %+v", name, site)
			}
			if _, ok := catalog[site.Callee]; !ok {
				t.Errorf("%s: %s is not judged", name, site.Callee)
			}
			for _, p := range site.places() {
				if seen[p] {
					t.Errorf("%s: twice", p)
				}
				seen[p] = true
			}
			if site.AtLeast.Rank() > site.AtMost.Rank() {
				t.Errorf("%s: at least %s, at most %s", name, site.AtLeast, site.AtMost)
			}
			switch site.Kills {
			case "yes":
				violators[s.Package] = true
				if catalog[site.Callee].taken == setBehavior {
					registered++
					if site.Arguments["behavior"] != "" {
						resolved++
					}
				}
				if site.AtLeast == "" && site.Missed == "" {
					t.Errorf("%s: kills, need not be found, and nothing says why", name)
				}
			case "no", "depends":
				if site.AtMost.Rank() > finding.Possible.Rank() {
					t.Errorf("%s: kills: %s, but may be %s", name, site.Kills, site.AtMost)
				}
			default:
				t.Errorf("%s: kills: %q", name, site.Kills)
			}
		}
	}
	// Where a call puts back what was there before, its behavior is in no file.
	t.Logf("%d calls register a handler that kills; the behavior must be found for %d", registered, resolved)
	if resolved*10 < registered*9 {
		t.Errorf("the behavior is asked for at %d of %d calls", resolved, registered)
	}
	if len(violators) < 2 {
		t.Errorf("%d packages with calls that kill", len(violators))
	}
}

// TestCorpus checks published packages as people get them, and compares with the sheets: everything that must be found
// is, at its address and with its arguments; nothing else is.
func TestCorpus(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short: packages of a gigabyte in all")
	}
	var sum corpusSum
	defer sum.log(t)
	for _, s := range readSheets(t) {
		t.Run(s.Package, func(t *testing.T) {
			if s.Large {
				raced.Skip(t)
			}
			if end, ok := t.Deadline(); ok && time.Until(end) < time.Minute {
				t.Skip("SKIPPED: less than a minute until the deadline of all tests; raise -timeout")
			}
			file := publishedFile(t, s.Package)
			r := runCorpus(t, file)
			sum.add(t, &s, file, r)
			compareSheet(t, &s, r, func(w finding.Where) string { return w.Member })
			if r.Summary.Images != s.Images {
				t.Errorf("%d images, want %d", r.Summary.Images, s.Images)
			}
		})
	}
}

// publishedFile returns the archive of a package or of a Go module, whose name begins with that of a host.
func publishedFile(t *testing.T, spec string) string {
	t.Helper()
	if host, _, ok := strings.Cut(spec, "/"); ok && strings.Contains(host, ".") {
		return corpus.Module(t, spec)
	}
	return corpus.NPM(t, spec)
}

// corpusSum is what check makes of all sheets together.
type corpusSum struct {
	packages, calling int // all; those with calls
	sites, found      int // calls on the sheets; those that the scan of the code comes to
	fixed, resolved   int // registrations whose behavior the file tells; those whose behavior check tells
	certain, likely   int // findings that a sheet confirms
}

// add counts a package. A call counts as found where the scan names its instruction, whatever the verdict; a behavior as
// resolved where the finding tells it, or where it is proven that the call harms nobody.
func (c *corpusSum) add(t *testing.T, s *sheet, file string, r *finding.Report) {
	t.Helper()
	c.packages++
	if len(s.Sites) == 0 {
		return
	}
	c.calling++
	scanned := scannedPlaces(t, file, s)
	reported := map[string]finding.Finding{}
	for _, f := range r.Findings {
		reported[f.Where.Member+" "+f.Where.Arch+" "+f.Where.Address] = f
	}
	for i := range s.Sites {
		site := &s.Sites[i]
		for _, place := range site.places() {
			c.sites++
			if scanned[place] {
				c.found++
			} else {
				t.Errorf("%s: the scan does not find %s", place, site.Callee)
			}
			f, ok := reported[place]
			if catalog[site.Callee].taken == setBehavior && site.Kills != "depends" {
				c.fixed++
				if want := site.Arguments["behavior"]; !ok || want != "" && f.Arguments["behavior"] == want {
					c.resolved++
				}
			}
			if ok && site.Kills == "yes" && len(site.compare(&f)) == 0 {
				switch f.Confidence {
				case finding.Certain:
					c.certain++
				case finding.Likely:
					c.likely++
				}
			}
		}
	}
}

func (c *corpusSum) log(t *testing.T) {
	t.Logf("%d packages, %d of them with calls; %d calls, %d found; %d behaviors that the file tells, %d resolved; "+
		"confirmed findings: %d certain, %d likely", c.packages, c.calling, c.sites, c.found, c.fixed, c.resolved, c.certain,
		c.likely)
	if c.found < c.sites || c.resolved*10 < c.fixed*9 {
		t.Error("too few")
	}
}

// scannedPlaces returns what the scan of the code comes to in the members of a package that its sheet names. In object
// files for x86_64 the scan tells the field of the instruction that the linker fills in.
func scannedPlaces(t *testing.T, file string, s *sheet) map[string]bool {
	t.Helper()
	named := map[string]bool{}
	for _, site := range s.Sites {
		for _, m := range site.Members {
			member, _, _ := strings.Cut(m, "!/")
			named[member] = true
		}
	}
	out := map[string]bool{}
	visit := func(it container.Item) error {
		f, err := macho.Parse(it.Data)
		if err != nil {
			return err
		}
		for _, m := range f.Images {
			if !m.InScope() || m.Simulator() {
				continue
			}
			find, back := linkedSites, uint64(0)
			if m.Type == macho.Object {
				find = relocatedSites
				if m.CPU == macho.CPUAMD64 {
					back = 1
				}
			}
			for _, at := range slices.Concat(find(m, sought(false)), trapSites(m)) {
				out[joinMember(it.Member, m.Member)+" "+m.Arch+" "+fmt.Sprintf("%#x", at-back)] = true
			}
		}
		return nil
	}
	want := func(name string, _ []byte) bool {
		_, member, _ := strings.Cut(name, "!/")
		return named[member]
	}
	unread := func(u finding.Unread) { t.Errorf("unread: %+v", u) }
	if _, err := container.Walk(t.Context(), file, container.Options{Want: want}, visit, unread); err != nil {
		t.Error(err)
	}
	return out
}

// A program by itself gives what it gives inside its package, and so does the folder it lies in.
func TestCorpusExtracted(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short")
	}
	const member = "wizer"
	for _, s := range readSheets(t) {
		if s.Package != "@bytecodealliance/wizer-darwin-arm64@10.0.0" {
			continue
		}
		file := corpus.File(t, s.Package, member)
		compareSheet(t, &s, runCorpus(t, file), func(finding.Where) string { return "package/" + member })
		folder := t.TempDir()
		if err := os.Symlink(file, filepath.Join(folder, "link")); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(file, filepath.Join(folder, member)); err != nil {
			t.Skipf("SKIPPED: the cache is on another file system: %v", err)
		}
		r := runCorpus(t, folder)
		compareSheet(t, &s, r, func(w finding.Where) string {
			if w.Path != filepath.Join(folder, member) {
				t.Errorf("path %s, want that of %s in the folder", w.Path, member)
			}
			return "package/" + member
		})
	}
}

func runCorpus(t *testing.T, name string) *finding.Report {
	t.Helper()
	level := rules.Level2
	r, err := Run(context.Background(), []string{name}, Options{Level: &level})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range r.Unread {
		if !strings.Contains(u.Member, "/testdata/") { // where sources keep archives that are broken on purpose
			t.Errorf("unread: %+v", u)
		}
	}
	r.Finish()
	return r
}

// compareSheet holds a report against a sheet. member tells which member of the package a finding is in.
func compareSheet(t *testing.T, s *sheet, r *finding.Report, member func(finding.Where) string) {
	t.Helper()
	found := map[string]finding.Finding{}
	for _, f := range r.Findings {
		place := member(f.Where) + " " + f.Where.Arch + " " + f.Where.Address
		if _, ok := found[place]; ok {
			t.Errorf("%s: found twice", place)
		}
		found[place] = f
	}
	for i := range s.Sites {
		site := &s.Sites[i]
		for _, place := range site.places() {
			f, ok := found[place]
			delete(found, place)
			if !ok {
				if site.AtLeast != "" {
					t.Errorf("%s: %s not found, want at least %s", place, site.Callee, site.AtLeast)
				}
				continue
			}
			for _, problem := range site.compare(&f) {
				t.Errorf("%s: %s\n%s", place, problem, strings.Join(f.Evidence, "\n"))
			}
		}
	}
	for place, f := range found {
		t.Errorf("%s: %s in %s is not on the sheet: %s (%s)", place, f.Callee, f.Where.Function, f.Message, f.Confidence)
	}
}

// compare lists what a finding gets wrong about a site.
func (s *sheetSite) compare(f *finding.Finding) []string {
	var out []string
	wrong := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if f.Confidence.Rank() > s.AtMost.Rank() {
		wrong("%s, want at most %q: %s", f.Confidence, s.AtMost, s.Why)
	}
	if f.Confidence.Rank() < s.AtLeast.Rank() {
		wrong("%s, want at least %s: %s", f.Confidence, s.AtLeast, s.Why)
	}
	if f.Callee != s.Callee {
		wrong("callee %s, want %s", f.Callee, s.Callee)
	}
	if want := catalog[s.Callee].taken; want != "" && f.Rule != want {
		wrong("rule %s, want %s", f.Rule, want)
	}
	if s.Function != "" && f.Where.Function != s.Function {
		wrong("function %s, want %s", f.Where.Function, s.Function)
	}
	if line := fmt.Sprintf("%s:%d", path.Base(f.Where.File), f.Where.Line); s.Line != "" && line != s.Line {
		wrong("line %s, want %s", line, s.Line)
	}
	from := rules.Level1.String()
	if s.From != "" {
		from = s.From
	}
	if !f.KillsHere || f.KillsFrom.String() != from {
		wrong("kills from %s, here: %t", f.KillsFrom, f.KillsHere)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Arguments)) {
		if f.Arguments[name] != s.Arguments[name] {
			wrong("%s = %s, want %s", name, f.Arguments[name], s.Arguments[name])
		}
	}
	if s.Software != "" && (f.SDK == nil || !strings.HasPrefix(f.SDK.Name, s.Software)) {
		wrong("in %+v, want %s", f.SDK, s.Software)
	}
	return out
}
