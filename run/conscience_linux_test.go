package run_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis.dev/check"
	"portcullis.dev/crash"
	"portcullis.dev/finding"
	"portcullis.dev/internal/conscience"
	"portcullis.dev/rules"
	"portcullis.dev/run"
	"portcullis.dev/sdk"
)

// long asks for every program of the conscience instead of a sample, or for those of the act or construction that it
// names.
const long = "PORTCULLIS_LONG"

// levels are those that the programs are run at, from the most permissive to the strictest; a sample at two of them.
var levels = func() []rules.Level {
	if os.Getenv(long) == "" {
		return []rules.Level{rules.LevelNone, rules.Level2}
	}
	return []rules.Level{rules.LevelNone, rules.Level1, rules.Level2, rules.Level3}
}()

// ground is a kernel in which programs are judged at one level, several at a time.
type ground struct {
	level   rules.Level
	session *run.Session

	mu   sync.Mutex
	told map[int]chan told // by process id; the reports of the restrictions
}

type told struct {
	run.Report
	err error
}

// of returns where the report that a restriction makes of a process comes, which it may before or after its end.
func (g *ground) of(pid int) chan told {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.told[pid] == nil {
		g.told[pid] = make(chan told, 1)
	}
	return g.told[pid]
}

func (g *ground) forget(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.told, pid)
}

func newGround(t *testing.T, level rules.Level, service string) *ground {
	t.Helper()
	g := &ground{level: level, told: map[int]chan told{}}
	var err error
	g.session, err = run.Start(run.Options{Level: &level, Reports: t.TempDir(),
		Reported: func(r run.Report, err error) {
			if !r.Killed {
				return // its status tells
			}
			select {
			case g.of(r.PID) <- told{r, err}:
			default:
				t.Errorf("process %d is killed twice", r.PID)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.session.Close(); err != nil {
			t.Error(err)
		}
	})
	cmd := exec.Command(service)
	cmd.Env = append(os.Environ(), g.session.Environment())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if s := bufio.NewScanner(out); !s.Scan() || s.Text() != "ready" {
		t.Fatalf("the service says %q", s.Text())
	}
	return g
}

// try runs a program and returns the restriction that killed it, as its crash report has it; "" if it lived.
func (g *ground) try(program string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	s, err := g.session.RunCommand(cmd)
	if err != nil {
		return "", err
	}
	defer g.forget(cmd.Process.Pid)
	var killer told
	if s.Killed {
		select {
		case killer = <-g.of(cmd.Process.Pid): // a process can be gone before its report is written
		case <-time.After(time.Minute):
			return "", errors.New("is killed without a report")
		}
	}
	switch {
	case !s.Killed && len(g.of(cmd.Process.Pid)) > 0:
		return "", errors.New("lives, and is reported dead")
	case !s.Killed && s.Code != 0:
		return "", fmt.Errorf("ends with status %d", s.Code)
	case !s.Killed:
		return "", nil
	case killer.err != nil:
		return "", killer.err
	}
	defer os.Remove(killer.Path)
	r := crash.ExplainFiles([]string{killer.Path}, nil, nil)
	if len(r.Findings) != 1 {
		return "", fmt.Errorf("%d findings in its crash report", len(r.Findings))
	}
	return r.Findings[0].Rule, nil
}

// buildLinux compiles a program with the SDK. It exports a function of libmach that dlsym is to find; "" for none.
func buildLinux(s *sdk.SDK, compiler, level, name, source, dir, export string) (string, error) {
	out := filepath.Join(dir, name+level)
	if err := os.WriteFile(out+".c", []byte(source), 0o666); err != nil {
		return "", err
	}
	args := []string{level, "-D_GNU_SOURCE", "-Wall", "-Werror", "-Wno-unused-function", out + ".c", "-o", out}
	args = append(args, s.Compile()...)
	if export != "" {
		// dlsym finds what is there and exported.
		args = append(args, "-rdynamic", "-Wl,-u,"+export)
	}
	// Without libmach's debugging information, which every crash report would be read for.
	args = append(args, "-Wl,--strip-debug")
	args = append(args, s.Link()...)
	if b, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", compiler, err, b)
	}
	return out, nil
}

// score counts programs of one kind: what run did with them at level 2, and what check had said.
type score struct {
	killed, found, certain int
	lived, cried, possible int
}

func (s score) String() string {
	return fmt.Sprintf("%3d killed: check found %3d, %3d of them certain; %3d lived: check called %d likely, %d possible",
		s.killed, s.found, s.certain, s.lived, s.cried, s.possible)
}

// trial is one program before both judges.
type trial struct {
	conscience.Program
	fates    []string // by level: the restriction that killed it, or ""
	findings []finding.Finding
}

// table holds what run did against what the program says of itself.
func (c *trial) table() (wrong []string) {
	from := rules.Never
	if c.Rule != "" {
		from, _ = rules.ParseLevel(c.From)
	}
	for i, l := range levels {
		fate := c.fates[i]
		switch dies := l >= from; {
		case !dies && fate != "":
			wrong = append(wrong, fmt.Sprintf("dies of %s at level %s", fate, l))
		case dies && fate == "":
			wrong = append(wrong, fmt.Sprintf("lives at level %s", l))
		case dies && fate != c.Rule && !slices.Contains(c.Also, fate):
			wrong = append(wrong, fmt.Sprintf("dies of %s at level %s instead of %s", fate, l, c.Rule))
		}
	}
	return wrong
}

// disagreements holds what check was certain of against what run did.
func (c *trial) disagreements() (wrong []string) {
	var certain []finding.Finding
	for _, f := range c.findings {
		if f.Confidence == finding.Certain {
			certain = append(certain, f)
		}
	}
	for i, l := range levels {
		predicted := false
		var rulesOf []string
		for _, f := range certain {
			if f.KillsFrom <= l {
				predicted = true
				rulesOf = append(rulesOf, f.Rule)
			}
		}
		fate := c.fates[i]
		switch {
		case predicted && fate == "":
			wrong = append(wrong, fmt.Sprintf("check is certain of %v, run lets it live at level %s", rulesOf, l))
		case predicted && !slices.Contains(rulesOf, fate):
			wrong = append(wrong, fmt.Sprintf("check is certain of %v, it dies of %s at level %s", rulesOf, fate, l))
		}
	}
	return wrong
}

func (s *score) count(c *trial) {
	fate := c.fates[slices.Index(levels, rules.Level2)]
	best := finding.Confidence("")
	for _, f := range c.findings {
		if f.KillsFrom <= rules.Level2 && (fate == "" || f.Rule == fate) && f.Confidence.Rank() > best.Rank() {
			best = f.Confidence
		}
	}
	likely := best.Rank() >= finding.Likely.Rank()
	switch {
	case fate != "":
		s.killed++
		if likely {
			s.found++
		}
		if best == finding.Certain {
			s.certain++
		}
	default:
		s.lived++
		if likely {
			s.cried++
		} else if best != "" {
			s.possible++
		}
	}
}

// chosen returns the programs to try: each construction with one act, which differs, or all.
func chosen() []conscience.Program {
	all := conscience.Programs()
	switch which := os.Getenv(long); which {
	case "":
	case "1":
		return all
	default:
		return slices.DeleteFunc(all, func(p conscience.Program) bool { return p.Act != which && p.Construction != which })
	}
	var acts, constructions []string
	for _, p := range all {
		if !slices.Contains(acts, p.Act) {
			acts = append(acts, p.Act)
		}
		if !slices.Contains(constructions, p.Construction) {
			constructions = append(constructions, p.Construction)
		}
	}
	var out []conscience.Program
	for i, c := range constructions {
		for k := range acts { // not every act goes with every construction
			act := acts[(i+k)%len(acts)]
			n := len(out)
			for _, p := range all {
				if p.Construction == c && p.Act == act {
					out = append(out, p)
				}
			}
			if len(out) > n {
				break
			}
		}
	}
	return out
}

// tool fails or skips where a tool is missing.
func tool(t *testing.T, names ...string) string {
	t.Helper()
	for _, n := range names {
		if p, err := exec.LookPath(n); err == nil {
			return p
		}
	}
	if os.Getenv("REQUIRE_TOOLCHAIN") != "" {
		t.Fatalf("none of %v is installed", names)
	}
	t.Skipf("SKIPPED: none of %v is installed", names)
	return ""
}

// The same C programs, compiled for macOS and read by check, and compiled for Linux and run under the kernel at each
// level, come to the same: what check is certain of happens, and of what run kills check finds nineteen in twenty.
// What run does is what the program says of itself. With PORTCULLIS_LONG=1 this is done with every program, else with
// each construction once; PORTCULLIS_LONG=pinned takes all programs of that act, and so for constructions.
func TestConscience(t *testing.T) {
	tool(t, conscience.Clang)
	tool(t, conscience.Linker)
	compilers := []string{tool(t, "cc"), tool(t, conscience.Clang)}
	dir := t.TempDir()
	mac := filepath.Join(dir, "sdk")
	if err := conscience.WriteSDK(mac); err != nil {
		t.Fatal(err)
	}
	lib, err := sdk.Install(t.Context(), compilers[0])
	if err != nil {
		t.Fatal(err)
	}
	service, err := buildLinux(lib, compilers[0], "-O1", "service", conscience.Service, dir, "")
	if err != nil {
		t.Fatal(err)
	}
	grounds := make([]*ground, len(levels))
	for i, l := range levels {
		grounds[i] = newGround(t, l, service)
	}
	var (
		mu    sync.Mutex
		wait  sync.WaitGroup
		slots = make(chan struct{}, 2*runtime.GOMAXPROCS(0)) // a program that is killed waits for its report
		by    = map[string]score{}
	)
	variations, optimised := conscience.Variations(), []string{"-O2", "-O0", "-Os"}
	for i, p := range chosen() {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			v := variations[i%len(variations)]
			c := &trial{Program: p}
			if err := c.hold(t, v, mac, lib, compilers[i/2%2], optimised[i%3], dir, grounds); err != nil {
				t.Errorf("%s: %v", p.Name, err)
				return
			}
			for _, w := range c.table() {
				t.Errorf("%s (%s %s) %s", p.Name, filepath.Base(compilers[i/2%2]), optimised[i%3], w)
			}
			for _, w := range c.disagreements() {
				t.Errorf("%s (%s): %s", p.Name, v, w)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, key := range []string{"all", "construction " + p.Construction, "act " + p.Act} {
				s := by[key]
				s.count(c)
				by[key] = s
			}
		})
	}
	wait.Wait()
	for _, key := range slices.Sorted(maps.Keys(by)) {
		t.Logf("%-26s %s", key, by[key])
	}
	if s := by["all"]; s.found*100 < s.killed*95 || s.killed == 0 {
		t.Errorf("check found only %d of %d programs that were killed", s.found, s.killed)
	}
}

// hold brings the program before both judges.
func (c *trial) hold(t *testing.T, v conscience.Variation, mac string, lib *sdk.SDK, compiler, level, dir string,
	grounds []*ground) error {
	file, err := c.BuildMac(v, mac, dir)
	if err != nil {
		return err
	}
	defer os.Remove(file)
	r, err := check.Run(t.Context(), []string{file}, check.Options{})
	if err != nil {
		return err
	}
	if len(r.Unread) > 0 {
		return fmt.Errorf("unread: %+v", r.Unread)
	}
	c.findings = r.Findings
	export := ""
	if strings.Contains(c.Needs, "dlsym") {
		export = c.Callee
	}
	program, err := buildLinux(lib, compiler, level, c.Name, c.Source, dir, export)
	if err != nil {
		return err
	}
	defer os.Remove(program)
	for _, g := range grounds {
		fate, err := g.try(program)
		if err != nil {
			return fmt.Errorf("level %s: %w", g.level, err)
		}
		c.fates = append(c.fates, fate)
	}
	return nil
}
