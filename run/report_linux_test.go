package run_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"portcullis.dev/crash"
	"portcullis.dev/rules"
	"portcullis.dev/run"
	"portcullis.dev/sdk"
)

// program compiles a C program with the SDK.
func program(t *testing.T, name, source string) string {
	t.Helper()
	cc := tool(t, "cc")
	s, err := sdk.Install(t.Context(), cc)
	if err != nil {
		t.Fatal(err)
	}
	out, err := buildLinux(s, cc, "-g", name, source, t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// session starts a kernel whose reports come through a channel.
func session(t *testing.T, o run.Options) (*run.Session, chan told) {
	t.Helper()
	reports := make(chan told, 64)
	o.Reports = t.TempDir()
	o.Reported = func(r run.Report, err error) { reports <- told{r, err} }
	s, err := run.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, reports
}

// read reads the report of a program that has ended: it is there by then.
func read(t *testing.T, reports chan told) *crash.IPS {
	t.Helper()
	select {
	case r := <-reports:
		if r.err != nil {
			t.Fatal(r.err)
		}
		b, err := os.ReadFile(r.Path)
		if err != nil {
			t.Fatal(err)
		}
		ips, err := crash.ReadIPS(b)
		if err != nil {
			t.Fatal(err)
		}
		return ips
	default:
		t.Fatal("the program has ended before its report was written")
	}
	return nil
}

// TestSuspendedThread kills a program one of whose threads is suspended. The report has it where it stands, and it is written before the process is gone.
func TestSuspendedThread(t *testing.T) {
	const source = `
#include <mach/mach.h>
#include <pthread.h>
#include <unistd.h>
static volatile int turns;
__attribute__((noinline)) void stands_here(void) { for (;;) turns++; }
static void *spin(void *unused) { stands_here(); return unused; }
int main(void)
{
	pthread_t thread;
	mach_port_t port;

	pthread_create(&thread, NULL, spin, NULL);
	while (turns == 0)
		;
	mach_msg_type_number_t n;
	thread_act_array_t all;
	if (task_threads(mach_task_self(), &all, &n) != 0 || n != 2)
		return 3;
	port = all[0] == mach_thread_self() ? all[1] : all[0];
	if (thread_suspend(port) != 0)
		return 4;
	mach_port_deallocate(mach_task_self(), 0xbad03);
	return 5;
}
`
	level := rules.Level2
	s, reports := session(t, run.Options{Level: &level})
	name := program(t, "suspended", source)
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		st, err := s.Run(ctx, []string{name})
		if err != nil || !st.Killed {
			t.Fatalf("%+v %v", st, err)
		}
		ips := read(t, reports)
		stands := slices.ContainsFunc(ips.Body.Threads, func(th crash.IPSThread) bool {
			return slices.ContainsFunc(th.Frames, func(f crash.IPSFrame) bool { return f.Symbol == "stands_here" })
		})
		if len(ips.Body.Threads) != 2 || !stands {
			t.Errorf("the report has %d threads; the suspended one is where it stands: %v", len(ips.Body.Threads), stands)
		}
		if len(ips.Body.ReportNotes) > 0 {
			t.Errorf("notes: %q", ips.Body.ReportNotes)
		}
	}
}

// TestExitMeanwhile kills a program that would have ended by itself while whoever handles its EXC_CRASH thinks about it.
// It dies of the restriction all the same, and its report is written.
func TestExitMeanwhile(t *testing.T) {
	const source = `
#include <mach/mach.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
struct request { mach_msg_header_t header; char rest[256]; };
struct answer { mach_msg_header_t header; NDR_record_t ndr; kern_return_t code; };
static volatile int starts;
static void *violate(void *unused)
{
	starts = 1;
	mach_port_deallocate(mach_task_self(), 0xbad03);
	return unused;
}
int main(void)
{
	mach_port_options_t options = { .flags = MPO_EXCEPTION_PORT | MPO_INSERT_SEND_RIGHT };
	mach_port_t port;
	struct request m;
	struct answer r;
	pid_t child;
	int status;

	if (mach_port_construct(mach_task_self(), &options, 0, &port) != 0 ||
	    task_set_exception_ports(mach_task_self(), EXC_MASK_CRASH, port,
	    (exception_behavior_t)(EXCEPTION_IDENTITY_PROTECTED | MACH_EXCEPTION_CODES), THREAD_STATE_NONE) != 0)
		return 3;
	if ((child = fork()) == 0) {
		pthread_t thread;

		pthread_create(&thread, NULL, violate, NULL);
		while (!starts)
			;
		usleep(100000);
		_exit(0);
	}
	if (mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, port, 10000, MACH_PORT_NULL) != 0)
		return 4;
	usleep(500000);
	memset(&r, 0, sizeof r);
	r.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0);
	r.header.msgh_size = sizeof r;
	r.header.msgh_remote_port = m.header.msgh_remote_port;
	r.header.msgh_id = m.header.msgh_id + 100;
	r.ndr = NDR_record;
	r.code = KERN_FAILURE;
	if (mach_msg(&r.header, MACH_SEND_MSG, sizeof r, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL) != 0)
		return 5;
	return waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == 9 ? 0 : 6;
}
`
	level := rules.Level2
	s, reports := session(t, run.Options{Level: &level})
	st, err := s.Run(t.Context(), []string{program(t, "meanwhile", source)})
	if err != nil || st.Code != 0 {
		t.Fatalf("%+v %v", st, err)
	}
	ips := read(t, reports)
	if len(ips.Body.Threads) != 2 || ips.Body.Exception.Type != "EXC_GUARD" {
		t.Errorf("%d threads, %+v", len(ips.Body.Threads), ips.Body.Exception)
	}
}

// TestExec replaces one program by another with other entitlements: from then on those hold, and what befalls the process
// befalls the new program.
func TestExec(t *testing.T) {
	const source = `
#include <mach/mach.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	if (mach_task_self() == MACH_PORT_NULL)
		return 3;
	if (argc > 1) {
		execv(argv[1], argv + 1);
		return 4;
	}
	return mach_port_deallocate(mach_task_self(), 0xbad03) == KERN_INVALID_NAME ? 0 : 5;
}
`
	strict := program(t, "strict", source)
	lax := strict + "lax"
	b, err := os.ReadFile(strict)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lax, b, 0o700); err != nil {
		t.Fatal(err)
	}
	const claims = `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict>
<key>com.apple.security.hardened-process</key><true/>
<key>com.apple.security.hardened-process.platform-restrictions-string</key><string>2</string>
</dict></plist>`
	if err := os.WriteFile(strict+".entitlements", []byte(claims), 0o600); err != nil {
		t.Fatal(err)
	}
	s, reports := session(t, run.Options{Default: rules.LevelNone})
	for _, tt := range []struct {
		argv   []string
		killed bool
	}{
		{[]string{lax}, false},
		{[]string{strict}, true},
		{[]string{strict, lax}, false},
		{[]string{lax, strict}, true},
		{[]string{lax, strict, lax}, false},
		{[]string{strict, lax, strict}, true},
	} {
		last := tt.argv[len(tt.argv)-1]
		st, err := s.Run(t.Context(), tt.argv)
		if err != nil || st.Killed != tt.killed || !tt.killed && st.Code != 0 {
			t.Errorf("%v: %+v %v", tt.argv, st, err)
			continue
		}
		if !tt.killed {
			continue
		}
		ips := read(t, reports)
		if ips.Body.ProcName != filepath.Base(last) || ips.Body.ProcPath != last {
			t.Errorf("%v: the report is of %s, %s", tt.argv, ips.Body.ProcName, ips.Body.ProcPath)
		}
		if own := ips.Body.Own; own.Level != rules.Level2.String() || own.DecidedBy != last+".entitlements" {
			t.Errorf("%v: level %s, decided by %s", tt.argv, own.Level, own.DecidedBy)
		}
	}
	if len(reports) > 0 {
		t.Errorf("%d reports more", len(reports))
	}
}
