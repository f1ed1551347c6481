package check

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"portcullis.dev/finding"
	"portcullis.dev/internal/conscience"
)

// tally counts what became of the programs of one kind.
type tally struct{ kills, found, certain, lives, cried, possible int }

func (t tally) String() string {
	return fmt.Sprintf("%3d that kill: %3d found, %3d of them certain; %3d that live: %d called likely, %d possible",
		t.kills, t.found, t.certain, t.lives, t.cried, t.possible)
}

// The verdict of check on every program agrees with what the program does: what kills is found, likely or better, and
// what lives is never called a certain kill. With PORTCULLIS_LONG=1 every program is tried in every variation, with the
// name of an act or a construction each of these, else a third of all in one each.
func TestConscience(t *testing.T) {
	run(t, conscience.Clang, "--version")
	run(t, conscience.Linker, "--version")
	dir := t.TempDir()
	sdk := filepath.Join(dir, "sdk")
	if err := conscience.WriteSDK(sdk); err != nil {
		t.Fatal(err)
	}
	type job struct {
		p conscience.Program
		v conscience.Variation
	}
	var jobs []job
	all := conscience.Variations()
	for i, p := range conscience.Programs() {
		if long := os.Getenv("PORTCULLIS_LONG"); long != "" {
			if long != "1" && long != p.Act && long != p.Construction {
				continue
			}
			for _, v := range all {
				jobs = append(jobs, job{p, v})
			}
			continue
		}
		if i%3 == 0 && (!testing.Short() || i%24 == 0) {
			jobs = append(jobs, job{p, all[i/3*7%len(all)]})
		}
	}
	var (
		mu    sync.Mutex
		wait  sync.WaitGroup
		slots = make(chan struct{}, runtime.GOMAXPROCS(0))
		by    = map[string]tally{}

		missed, cried []string
	)
	for _, j := range jobs {
		wait.Add(1)
		slots <- struct{}{}
		go func() {
			defer wait.Done()
			defer func() { <-slots }()
			file, err := j.p.BuildMac(j.v, sdk, dir)
			if err != nil {
				t.Errorf("%s %s: %v", j.p.Name, j.v, err)
				return
			}
			r, err := Run(context.Background(), []string{file}, Options{})
			os.Remove(file)
			if err != nil || len(r.Unread) > 0 {
				t.Errorf("%s %s: %v %v", j.p.Name, j.v, err, r)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			var one tally
			if one.count(j.p, r); one.kills > one.found {
				missed = append(missed, j.p.Name+" "+j.v.String())
			} else if one.cried > 0 {
				cried = append(cried, j.p.Name+" "+j.v.String())
			}
			for _, key := range []string{"all", "construction " + j.p.Construction, "act " + j.p.Act, "built " + j.v.String()} {
				x := by[key]
				x.count(j.p, r)
				by[key] = x
			}
			judgeConscience(t, j.p, j.v, r)
		}()
	}
	wait.Wait()
	for _, key := range slices.Sorted(maps.Keys(by)) {
		t.Logf("%-44s %s", key, by[key])
	}
	slices.Sort(missed)
	slices.Sort(cried)
	t.Logf("not found:\n%s\nalive and called likely:\n%s", strings.Join(missed, "\n"), strings.Join(cried, "\n"))
	if x := by["all"]; x.found*100 < x.kills*95 {
		t.Errorf("only %d of %d programs that kill were found", x.found, x.kills)
	}
}

func (t *tally) count(p conscience.Program, r *finding.Report) {
	best := finding.Confidence("")
	for _, f := range r.Findings {
		if f.Confidence.Rank() > best.Rank() && (p.Rule == "" || f.Rule == p.Rule || slices.Contains(p.Also, f.Rule)) {
			best = f.Confidence
		}
	}
	if p.Rule != "" {
		t.kills++
		if best.Rank() >= finding.Likely.Rank() {
			t.found++
		}
		if best == finding.Certain {
			t.certain++
		}
		return
	}
	t.lives++
	if best.Rank() >= finding.Likely.Rank() {
		t.cried++
	} else if best != "" {
		t.possible++
	}
}

// judgeConscience fails where check is certain and wrong, in the restriction or in the level.
func judgeConscience(t *testing.T, p conscience.Program, v conscience.Variation, r *finding.Report) {
	for _, f := range r.Findings {
		if f.Confidence != finding.Certain {
			continue
		}
		switch {
		case p.Rule == "":
			t.Errorf("%s %s lives, and check is certain of %s: %s\n%s", p.Name, v, f.Rule, f.Message,
				strings.Join(f.Evidence, "\n"))
		case f.Rule != p.Rule && !slices.Contains(p.Also, f.Rule):
			t.Errorf("%s %s dies of %s, and check is certain of %s: %s", p.Name, v, p.Rule, f.Rule, f.Message)
		case f.Rule == p.Rule && f.KillsFrom.String() != p.From:
			t.Errorf("%s %s dies from level %s, and check says %s", p.Name, v, p.From, f.KillsFrom)
		case p.Depends:
			t.Errorf("%s %s may live, and check is certain: %s", p.Name, v, f.Message)
		}
	}
}
