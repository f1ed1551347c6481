package entitlement

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"portcullis.dev/finding"
	"portcullis.dev/macho"
	"portcullis.dev/plist"
	"portcullis.dev/rules"
)

// Program is the answer for one slice of one image, or for one file of entitlements.
type Program struct {
	Path     string
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
// profile, or a folder, such as a bundle, with all programs, libraries and entitlements files in it. Links are not
// followed inside folders, so that a framework's aliases of itself are not told twice. In a bundle, its provisioning
// profile is held against what its executables claim.
//
// What cannot be read is listed in the report and does not stop the rest. The answers are those that the system judged
// gives, its zero value standing for the newest kernel and each program's own platform.
func Inspect(path string, judged rules.OS) Report {
	c := collector{judged: judged, bundles: map[string]*bundle{}}
	st, err := os.Stat(path)
	switch {
	case err != nil:
		c.unread(path, err)
	case st.IsDir():
		c.folder(path)
	default:
		c.enclosing(path)
		c.file(path, true)
	}
	return c.report()
}

// bundle is what the folder of a bundle says about the code in it.
type bundle struct {
	identifier string
	executable string // path
	info       string // path of the Info.plist
	profile    *Profile
}

type collector struct {
	judged  rules.OS
	bundles map[string]*bundle // by folder
	found   []Program
	lost    []finding.Unread
}

func (c *collector) unread(path string, err error) {
	reason := err.Error()
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		reason = pathErr.Err.Error()
	}
	u := finding.Unread{Path: path, Reason: strings.TrimPrefix(reason, path+": ")}
	var format *macho.FormatError
	if errors.As(err, &format) {
		u.Offset = format.Offset
	}
	c.lost = append(c.lost, u)
}

func (c *collector) folder(root string) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			c.unread(path, err)
			return nil
		}
		if d.Type().IsRegular() {
			c.file(path, false)
		}
		return nil
	})
	if err != nil {
		c.unread(root, err)
	}
}

// bundleOf returns the bundle to which a file such as Info.plist in folder belongs: Foo.app for Foo.app/Contents, and
// Foo.framework for Foo.framework/Versions/A/Resources.
func (c *collector) bundleOf(folder string) *bundle {
	if filepath.Base(folder) == "Resources" && filepath.Base(filepath.Dir(filepath.Dir(folder))) == "Versions" {
		folder = filepath.Dir(filepath.Dir(filepath.Dir(folder)))
	} else if filepath.Base(folder) == "Contents" {
		folder = filepath.Dir(folder)
	}
	if c.bundles[folder] == nil {
		c.bundles[folder] = &bundle{}
	}
	return c.bundles[folder]
}

// enclosing looks at the bundle around a program that was named itself: Foo.app/Foo or Foo.app/Contents/MacOS/Foo.
func (c *collector) enclosing(program string) {
	dir := filepath.Dir(program)
	folders := []string{dir}
	if filepath.Base(dir) == "MacOS" {
		folders = []string{filepath.Dir(dir)}
	}
	for _, folder := range folders {
		for name := range bundleFiles {
			path := filepath.Join(folder, name)
			if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && path != filepath.Clean(program) {
				c.file(path, false)
			}
		}
	}
}

// bundleFiles are the files of a bundle that say something about its programs.
var bundleFiles = map[string]bool{
	"Info.plist": true, "embedded.mobileprovision": true, "embedded.provisionprofile": true,
}

// file looks at one file. A file that the user named is worth an error when it is nothing we read; others are passed by.
func (c *collector) file(path string, named bool) {
	head, err := readHead(path)
	if err != nil {
		c.unread(path, err)
		return
	}
	base := filepath.Base(path)
	switch {
	case macho.Recognized(head):
		c.images(path)
	case base == "Info.plist" && !named:
		c.infoPlist(path)
	case looksLikeCMS(head) && (named || bundleFiles[base]):
		c.profile(path, named)
	case bundleFiles[base] && !named:
		c.unread(path, errors.New("offset 0: not a provisioning profile"))
	case named && sniffPlist(head) != "", filepath.Ext(path) == ".entitlements", filepath.Ext(path) == ".xcent":
		c.entitlementsFile(path)
	case named:
		c.unread(path, errors.New("offset 0: not a Mach-O image, a property list or a provisioning profile"))
	}
}

// readHead returns the first bytes of a file, fewer where it is shorter.
func readHead(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	head := make([]byte, 64)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return head[:n], nil
}

func (c *collector) images(path string) {
	f, err := macho.Open(path)
	if err != nil {
		if !errors.Is(err, macho.ErrNotMachO) {
			c.unread(path, err)
		}
		return
	}
	defer f.Close() // a private mapping: nothing is lost
	for _, err := range f.Errors {
		if !errors.Is(err, macho.ErrNotMachO) {
			c.unread(path, err)
		}
	}
	if f.Archive {
		return // object files carry no entitlements
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
			c.unread(path, fmt.Errorf("%s: %w", img.Arch, err))
			continue
		}
		in.OS = c.judged
		if in.Product == ProductExecutable && in.XML == nil && in.DER == nil {
			switch set, err := Sidecar(path); {
			case err == nil:
				in.Plist = set
			case !errors.Is(err, fs.ErrNotExist):
				c.unread(path+".entitlements", err)
			}
		}
		c.found = append(c.found, Program{Path: path, Inputs: in})
		if in.Product == ProductExecutable {
			whole = append(whole, in)
		}
	}
	if issues := LintSlices(whole); len(issues) > 0 {
		c.found[first].Issues = issues
	}
}

func (c *collector) infoPlist(path string) {
	data, err := readSmall(path)
	if err != nil {
		c.unread(path, err)
		return
	}
	var info struct {
		Executable string `plist:"CFBundleExecutable"`
		Identifier string `plist:"CFBundleIdentifier"`
	}
	if err := plist.Unmarshal(data, &info); err != nil {
		c.unread(path, err)
		return
	}
	folder := filepath.Dir(path)
	b := c.bundleOf(folder)
	b.identifier, b.info = info.Identifier, path
	// A name with a separator would point out of the bundle.
	if info.Executable == "" || info.Executable != filepath.Base(info.Executable) {
		return
	}
	switch filepath.Base(folder) {
	case "Contents":
		b.executable = filepath.Join(folder, "MacOS", info.Executable)
	case "Resources":
		b.executable = filepath.Join(filepath.Dir(folder), info.Executable)
	default:
		b.executable = filepath.Join(folder, info.Executable)
	}
}

func (c *collector) profile(path string, named bool) {
	data, err := readSmall(path)
	if err != nil {
		c.unread(path, err)
		return
	}
	p, err := ParseProfile(data)
	if err != nil {
		c.unread(path, err)
		return
	}
	if named {
		c.found = append(c.found, Program{Path: path, Inputs: Inputs{Product: ProductProfile, Profile: p, OS: c.judged}})
		return
	}
	c.bundleOf(filepath.Dir(path)).profile = p
}

func (c *collector) entitlementsFile(path string) {
	data, err := readSmall(path)
	if err != nil {
		c.unread(path, err)
		return
	}
	set, err := ParsePlist(data)
	if err != nil {
		c.unread(path, err)
		return
	}
	c.found = append(c.found, Program{Path: path, Inputs: Inputs{Product: ProductFile, Plist: set, OS: c.judged}})
}

// report decides, now that all bundles are known.
func (c *collector) report() Report {
	for i := range c.found {
		p := &c.found[i]
		for dir := filepath.Dir(p.Path); ; dir = filepath.Dir(dir) {
			if b := c.bundles[dir]; b != nil {
				if b.executable == p.Path {
					p.Bundle = b.identifier
				}
				if p.Inputs.Profile == nil && p.Inputs.Product == ProductExecutable {
					p.Inputs.Profile = b.profile
				}
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
		p.Decision = Decide(p.Inputs)
		p.Issues = append(p.Issues, Lint(p.Inputs)...)
	}
	for _, b := range c.bundles {
		if b.executable != "" && strings.HasSuffix(filepath.Dir(b.info), ".app") && !fileExists(b.executable) {
			c.unread(b.info, fmt.Errorf("names the executable %q, which is not there", filepath.Base(b.executable)))
		}
	}
	slices.SortStableFunc(c.lost, func(a, b finding.Unread) int { return strings.Compare(a.Path, b.Path) })
	return Report{Programs: c.found, Unread: c.lost}
}

func fileExists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
