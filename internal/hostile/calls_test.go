package hostile_test

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"testing"

	"portcullis.dev/check"
	"portcullis.dev/finding"
	"portcullis.dev/internal/corpus"
	"portcullis.dev/internal/hostile"
	"portcullis.dev/internal/raced"
	"portcullis.dev/macho"
	"portcullis.dev/macho/container"
	"portcullis.dev/rules"
)

// callers are published images that make calls which are judged: linked programs and object files of libraries, in C,
// Objective-C and Rust. The share is how much of the mutants each gets; large ones take longer.
var callers = []struct {
	spec, image, arch string
	share             float64
}{
	{"sentry-cordova@0.17.0", "Sentry", "arm64", 0.02},
	{"cordova-fabric-plugin@1.1.10", "CLSMachException.o", "arm64", 0.1},
	{"@dynatrace/cordova-plugin@1.191.2", "KSCrashMonitor_MachException.o", "arm64", 0.1},
	{"react-native-testfairy@2.65.0", "PLCrashMachExceptionPort.o", "arm64e", 0.35},
	{"react-native-testfairy@2.65.0", "PLCrashMachExceptionServer.o", "arm64", 0.3},
	{"@bytecodealliance/wizer-darwin-arm64@10.0.0", "wizer", "arm64", 0.05},
	{"@bytecodealliance/wizer-darwin-x64@10.0.0", "wizer", "x86_64", 0.08},
}

// TestCalls damages published images in the functions that make calls which are judged, so that code is followed which
// no compiler wrote, and in what says how to read them.
func TestCalls(t *testing.T) {
	raced.Skip(t)
	for _, c := range callers {
		t.Run(c.image+" "+c.arch, func(t *testing.T) {
			data, calls := caller(t, corpus.NPM(t, c.spec), c.image, c.arch)
			v := newVictim(t)
			v.garbage = followed
			regions := append(hostile.Regions(data), calls...)
			found := 0
			for seed := range uint64(c.share * float64(mutants(t))) {
				damaged := hostile.Mutate(seed, data, regions)
				if seed%2 == 0 { // the code alone
					damaged = hostile.Mutate(seed, data, calls)
				}
				found += len(v.examine(t, fmt.Sprintf("seed %d", seed), damaged).Findings)
			}
			v.tell(t)
			t.Logf("%d findings", found)
			if found < v.runs/2 {
				t.Error("hardly any findings: the test follows no code")
			}
		})
	}
}

// caller takes one image with findings out of a package, and tells where in it the code around these lies.
func caller(t *testing.T, pkg, name, arch string) (data []byte, calls []hostile.Region) {
	t.Helper()
	level := rules.Level2
	r, err := check.Run(t.Context(), []string{pkg}, check.Options{Level: &level})
	if err != nil {
		t.Fatal(err)
	}
	var found []finding.Where
	for _, f := range r.Findings {
		if path.Base(f.Where.Member) == name && f.Where.Arch == arch {
			found = append(found, f.Where)
		}
	}
	if len(found) == 0 {
		t.Fatalf("no findings in %s (%s)", name, arch)
	}
	member, object, _ := strings.Cut(found[0].Member, "!/")
	visit := func(it container.Item) error {
		if it.Member != member {
			return nil
		}
		f, err := macho.Parse(it.Data)
		if err != nil {
			return err
		}
		for _, m := range f.Images {
			if m.Member != object || m.Arch != arch {
				continue
			}
			data = append([]byte(nil), it.Data[m.Offset:m.Offset+m.Size]...)
			for _, w := range found {
				calls = append(calls, around(t, m, w.Address))
			}
		}
		return nil
	}
	unread := func(u finding.Unread) { t.Errorf("unread: %+v", u) }
	if _, err := container.Walk(t.Context(), pkg, container.Options{}, visit, unread); err != nil || data == nil {
		t.Fatalf("%s (%s): %v", name, arch, err)
	}
	return data, calls
}

// around returns the place in the image of the code that leads to an address, and of some that follows it.
func around(t *testing.T, m *macho.Image, address string) hostile.Region {
	t.Helper()
	a, err := strconv.ParseUint(address, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	s := m.SectionAt(a)
	if s == nil {
		t.Fatalf("nothing at %s", address)
	}
	const before, after = 512, 64
	at := int(a - s.Addr)
	from := max(at-before, 0)
	return hostile.Region{Off: int(s.Offset) + from, Len: min(at+after, int(s.Size)) - from}
}
