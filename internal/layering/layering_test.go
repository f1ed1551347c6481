// Package layering tests what holds the house together: that imports point downwards, and that every module the project
// depends on has its reason written down.
package layering

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "portcullis.dev/"

// pkg is what the go command says about a package.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// packages lists all packages of the project.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// fenced returns the lines of the block that a documentation page fences with ```name.
func fenced(t *testing.T, page, name string) []string {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []string
	inside := false
	for s := bufio.NewScanner(f); s.Scan(); {
		switch {
		case s.Text() == "```"+name:
			inside = true
		case strings.HasPrefix(s.Text(), "```"):
			inside = false
		case inside:
			lines = append(lines, s.Text())
		}
	}
	if len(lines) == 0 {
		t.Fatalf("docs/%s has no block %s", page, name)
	}
	return lines
}

// alone are packages with a promise of their own: all that they may import of ours.
var alone = map[string][]string{
	"mach":       {},
	"rules":      {"mach"},
	"kernel/ipc": {"mach"},
}

// TestImportsPointDown reads the floors of the house from docs/architecture.md. A package imports packages of lower
// floors only, and every package lives on one.
func TestImportsPointDown(t *testing.T) {
	floor := map[string]int{}
	for _, line := range fenced(t, "architecture.md", "floors") {
		words := strings.Fields(line)
		n, err := strconv.Atoi(words[0])
		if err != nil {
			t.Fatalf("floor %q is no number", line)
		}
		for _, room := range words[1:] {
			if _, twice := floor[room]; twice {
				t.Errorf("%s lives on two floors", room)
			}
			floor[room] = n
		}
	}
	// The packages below a room written as room/... live on its floor unless they are named themselves.
	seen := map[string]bool{}
	floorOf := func(room string) (int, bool) {
		if n, ok := floor[room]; ok {
			seen[room] = true
			return n, true
		}
		for dir := path.Dir(room); dir != "."; dir = path.Dir(dir) {
			if n, ok := floor[dir+"/..."]; ok {
				seen[dir+"/..."] = true
				return n, true
			}
		}
		return 0, false
	}
	for _, p := range packages(t) {
		room := strings.TrimPrefix(p.ImportPath, module)
		if room == "internal/layering" {
			continue
		}
		here, ok := floorOf(room)
		if !ok {
			t.Errorf("%s lives on no floor: put it into docs/architecture.md", room)
			continue
		}
		for _, i := range p.Imports {
			other, ours := strings.CutPrefix(i, module)
			if !ours {
				continue
			}
			if below, _ := floorOf(other); below >= here {
				t.Errorf("%s (floor %d) imports %s (floor %d)", room, here, other, below)
			}
			if may, ok := alone[room]; ok && !slices.Contains(may, other) {
				t.Errorf("%s imports %s; it may import %v alone", room, other, may)
			}
			if strings.HasPrefix(other, "cmd/") {
				t.Errorf("%s imports the command line", room)
			}
		}
	}
	for room := range floor {
		if !seen[room] {
			t.Errorf("docs/architecture.md knows %s, which is no package", room)
		}
	}
}

// requirements reads the modules that go.mod requires, and those of its tools.
func requirements(t *testing.T) (modules, tools []string) {
	t.Helper()
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var mod struct{ Require, Tool []struct{ Path string } }
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		modules = append(modules, r.Path)
	}
	for _, r := range mod.Tool {
		tools = append(tools, r.Path)
	}
	return modules, tools
}

// TestDependenciesHaveReasons compares the table of docs/dependencies.md with what the code imports: each module that
// is imported stands there with its reason, none stands there without need, and what is for tests is in no product.
func TestDependenciesHaveReasons(t *testing.T) {
	modules, tools := requirements(t)
	owner := func(path string) string {
		best := ""
		for _, m := range modules {
			if (path == m || strings.HasPrefix(path, m+"/")) && len(m) > len(best) {
				best = m
			}
		}
		return best
	}
	used := map[string]string{}
	for _, tool := range tools {
		used[owner(tool)] = "tool"
	}
	all := packages(t)
	for _, p := range all {
		// What helps tests of several packages is test code too.
		kind := "product"
		if p.ImportPath == module+"internal/corpus" {
			kind = "tests"
		}
		for _, i := range append(slices.Clone(p.TestImports), p.XTestImports...) {
			if m := owner(i); m != "" && used[m] == "" {
				used[m] = "tests"
			}
		}
		for _, i := range p.Imports {
			if m := owner(i); m != "" && (used[m] != "product") {
				used[m] = kind
			}
		}
	}
	documented := map[string]string{}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[1], "`") {
			continue
		}
		name, kind, reason := strings.Trim(cells[1], " `"), strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])
		if len(reason) < 20 {
			t.Errorf("%s: %q is no reason", name, reason)
		}
		documented[name] = kind
	}
	for _, m := range slices.Sorted(maps.Keys(used)) {
		switch {
		case documented[m] == "":
			t.Errorf("%s is imported (%s) and stands not in docs/dependencies.md", m, used[m])
		case documented[m] != used[m]:
			t.Errorf("%s is for %s; docs/dependencies.md says for %s", m, used[m], documented[m])
		}
	}
	for _, m := range slices.Sorted(maps.Keys(documented)) {
		if used[m] == "" {
			t.Errorf("%s stands in docs/dependencies.md and is not imported", m)
		}
	}
}
