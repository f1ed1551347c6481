package entitlement

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"portcullis.dev/entitlement/elfnote"
	"portcullis.dev/finding"
	"portcullis.dev/macho"
	"portcullis.dev/macho/container"
	"portcullis.dev/plist"
	"portcullis.dev/rules"
)

// Program is the answer for one slice of one image, or for one file of entitlements.
type Program struct {
	Path     string // the file on disk
	Member   string // path inside the archive at Path; "" for a file on disk
	Bundle   string // identifier of the bundle whose main executable this is; "" where it is none
	Inputs   Inputs
	Decision Decision
	Issues   []Issue
}

// Report is the answer for one path.
type Report struct {
	Programs []Program
	Unread   []finding.Unread
}

// Failed reports whether some program would not start, or has advice of severity error.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Programs, func(p Program) bool {
		return len(p.Decision.Refusals) > 0 ||
			slices.ContainsFunc(p.Issues, func(i Issue) bool { return i.Severity == SeverityError })
	})
}

// Inspect answers for a path: a Mach-O file, each slice of a universal one, an entitlements file, a provisioning
// profile, or a folder (such as a bundle) or an archive (such as an .ipa) with all programs, libraries and entitlements
// files in it. In a bundle, its provisioning profile is held against what its executables claim.
//
// What cannot be read is listed in the report and does not stop the rest; Inspect fails only when ctx is done. The
// answers are those that the system judged gives, its zero value standing for the newest kernel and each program's own
// platform.
func Inspect(ctx context.Context, name string, judged rules.OS) (Report, error) {
	c := collector{judged: judged, root: name, bundles: map[string]*bundle{}}
	if st, err := os.Stat(name); err == nil && st.Mode().IsRegular() {
		c.enclosing(name)
	}
	_, err := container.Walk(ctx, name, container.Options{Want: c.want}, func(i container.Item) error {
		c.item(i)
		return nil
	}, func(u finding.Unread) { c.lost = append(c.lost, u) })
	return c.report(), err
}

// bundle is what the folder of a bundle says about the code in it.
type bundle struct {
	identifier string
	executable string // name, as container.Item has it
	info       string // Info.plist on disk; "" in an archive
	profile    *Profile
}

type collector struct {
	judged  rules.OS
	root    string             // what the user named
	bundles map[string]*bundle // by name of the folder
	found   []Program
	lost    []finding.Unread
}

// bundleFiles are the files of a bundle that say something about its programs.
var bundleFiles = map[string]bool{
	"Info.plist": true, "embedded.mobileprovision": true, "embedded.provisionprofile": true,
}

// want picks the files to read. The file that the user named is always read: it is worth an error when it is nothing
// we know, while other files are passed by.
func (c *collector) want(name string, head []byte) bool {
	return name == c.root || macho.Recognized(head) || elfnote.Recognized(head) || bundleFiles[path.Base(name)] || isClaims(name)
}

// isClaims reports whether a file is an entitlements file by its name.
func isClaims(name string) bool {
	ext := path.Ext(name)
	return ext == ".entitlements" || ext == ".xcent"
}

func (c *collector) item(i container.Item) {
	name := filepath.ToSlash(i.Name())
	base := path.Base(name)
	named := i.Name() == c.root
	var err error
	switch {
	case macho.Recognized(i.Data):
		err = c.images(i)
	case elfnote.Recognized(i.Data):
		err = c.program(i, named)
	case base == "Info.plist" && !named:
		err = c.infoPlist(i)
	case looksLikeCMS(i.Data) && (named || bundleFiles[base]), bundleFiles[base] && !named:
		err = c.profile(i, named)
	case named && sniffPlist(i.Data) != "", isClaims(name):
		err = c.claims(i)
	default:
		err = errors.New("offset 0: not a Mach-O image, an ELF file, a property list or a provisioning profile")
	}
	if err != nil {
		c.unread(i, err)
	}
}

func (c *collector) unread(i container.Item, err error) {
	u := finding.Unread{Path: i.Path, Member: i.Member, Reason: err.Error()}
	var format *macho.FormatError
	var syntax *plist.SyntaxError
	switch {
	case errors.As(err, &format):
		u.Offset = format.Offset
	case errors.As(err, &syntax):
		u.Offset = syntax.Offset
	}
	c.lost = append(c.lost, u)
}

// bundleOf returns the bundle to which a file such as Info.plist in folder belongs: Foo.app for Foo.app/Contents, and
// Foo.framework for Foo.framework/Versions/A/Resources.
func (c *collector) bundleOf(folder string) *bundle {
	if path.Base(folder) == "Resources" && path.Base(path.Dir(path.Dir(folder))) == "Versions" {
		folder = path.Dir(path.Dir(path.Dir(folder)))
	} else if path.Base(folder) == "Contents" {
		folder = path.Dir(folder)
	}
	if c.bundles[folder] == nil {
		c.bundles[folder] = &bundle{}
	}
	return c.bundles[folder]
}

// enclosing looks at the bundle around a program that was named itself: Foo.app/Foo or Foo.app/Contents/MacOS/Foo.
func (c *collector) enclosing(program string) {
	folder := filepath.Dir(program)
	if filepath.Base(folder) == "MacOS" {
		folder = filepath.Dir(folder)
	}
	for name := range bundleFiles {
		file := filepath.Join(folder, name)
		if file == filepath.Clean(program) {
			continue
		}
		if data, err := readSmall(file); err == nil { // whoever wants to know of damage there names the bundle
			c.item(container.Item{Path: file, Size: int64(len(data)), Data: data})
		}
	}
}

func (c *collector) images(i container.Item) error {
	f, err := macho.Parse(i.Data)
	if err != nil {
		if errors.Is(err, macho.ErrNotMachO) && i.Name() != c.root {
			return nil
		}
		return err
	}
	for _, err := range f.Errors {
		if !errors.Is(err, macho.ErrNotMachO) {
			c.unread(i, err)
		}
	}
	if f.Archive {
		return nil // object files carry no entitlements
	}
	var whole []Inputs
	first := len(c.found)
	for _, img := range f.Images {
		switch img.Type {
		case macho.Execute, macho.Dylib, macho.Bundle:
		default:
			continue
		}
		in, err := FromImage(img)
		if err != nil {
			if !errors.As(err, new(*macho.FormatError)) { // which says the architecture itself
				err = fmt.Errorf("%s: %w", img.Arch, err)
			}
			c.unread(i, err)
			continue
		}
		in.OS = c.judged
		if in.Product == ProductExecutable && in.XML == nil && in.DER == nil && i.Member == "" {
			switch set, err := Sidecar(i.Path); {
			case err == nil:
				in.Plist = set
			case !errors.Is(err, fs.ErrNotExist):
				c.unread(container.Item{Path: i.Path + SidecarSuffix}, err)
			}
		}
		c.found = append(c.found, Program{Path: i.Path, Member: i.Member, Inputs: in})
		if in.Product == ProductExecutable {
			whole = append(whole, in)
		}
	}
	if issues := LintSlices(whole); len(issues) > 0 {
		c.found[first].Issues = issues
	}
	return nil
}

// program looks at an ELF file. One that was not named itself is told only where it claims something.
func (c *collector) program(i container.Item, named bool) error {
	in, err := fromELF(i.Data)
	if err != nil {
		if !named && in.Arch == "" {
			return nil // begins as an ELF file does, and is none
		}
		return err
	}
	in.OS = c.judged
	if in.Product == ProductExecutable && i.Member == "" {
		switch set, err := Sidecar(i.Path); {
		case err == nil:
			in.Plist = set
		case !errors.Is(err, fs.ErrNotExist):
			c.unread(container.Item{Path: i.Path + SidecarSuffix}, err)
		}
	}
	if named || in.Note != nil || in.Plist != nil {
		c.found = append(c.found, Program{Path: i.Path, Member: i.Member, Inputs: in})
	}
	return nil
}

func (c *collector) infoPlist(i container.Item) error {
	var info struct {
		Executable string `plist:"CFBundleExecutable"`
		Identifier string `plist:"CFBundleIdentifier"`
	}
	if err := plist.Unmarshal(i.Data, &info); err != nil {
		return err
	}
	folder := path.Dir(filepath.ToSlash(i.Name()))
	b := c.bundleOf(folder)
	b.identifier = info.Identifier
	if i.Member == "" {
		b.info = i.Path
	}
	// A name with a separator would point out of the bundle.
	if info.Executable == "" || info.Executable != path.Base(info.Executable) {
		return nil
	}
	switch path.Base(folder) {
	case "Contents":
		b.executable = path.Join(folder, "MacOS", info.Executable)
	case "Resources":
		b.executable = path.Join(path.Dir(folder), info.Executable)
	default:
		b.executable = path.Join(folder, info.Executable)
	}
	return nil
}

func (c *collector) profile(i container.Item, named bool) error {
	p, err := ParseProfile(i.Data)
	if err != nil {
		return err
	}
	if named {
		in := Inputs{Product: ProductProfile, Profile: p, OS: c.judged}
		c.found = append(c.found, Program{Path: i.Path, Member: i.Member, Inputs: in})
		return nil
	}
	c.bundleOf(path.Dir(filepath.ToSlash(i.Name()))).profile = p
	return nil
}

func (c *collector) claims(i container.Item) error {
	set, err := ParsePlist(i.Data)
	if err != nil {
		return err
	}
	in := Inputs{Product: ProductFile, Plist: set, OS: c.judged}
	c.found = append(c.found, Program{Path: i.Path, Member: i.Member, Inputs: in})
	return nil
}

// name returns path and member as one string.
func (p *Program) name() string { return container.Item{Path: p.Path, Member: p.Member}.Name() }

// report decides, now that all bundles are known.
func (c *collector) report() Report {
	for i := range c.found {
		p := &c.found[i]
		name := path.Clean(filepath.ToSlash(p.name()))
		for dir := path.Dir(name); ; dir = path.Dir(dir) {
			if b := c.bundles[dir]; b != nil {
				if b.executable == name {
					p.Bundle = b.identifier
				}
				if p.Inputs.Profile == nil && p.Inputs.Product == ProductExecutable {
					p.Inputs.Profile = b.profile
				}
			}
			if dir == path.Dir(dir) {
				break
			}
		}
		p.Decision = Decide(p.Inputs)
		p.Issues = append(p.Issues, Lint(p.Inputs)...)
	}
	for folder, b := range c.bundles {
		if b.info == "" || b.executable == "" || path.Ext(folder) != ".app" {
			continue
		}
		if _, err := os.Lstat(filepath.FromSlash(b.executable)); errors.Is(err, fs.ErrNotExist) {
			c.unread(container.Item{Path: b.info},
				fmt.Errorf("names the executable %q, which is not there", path.Base(b.executable)))
		}
	}
	slices.SortStableFunc(c.lost, func(a, b finding.Unread) int {
		return strings.Compare(a.Path+"!"+a.Member, b.Path+"!"+b.Member)
	})
	return Report{Programs: c.found, Unread: c.lost}
}
