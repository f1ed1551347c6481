//go:build linux

package linux

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"portcullis.dev/kernel/server"
)

var (
	_ server.TaskFacts   = (*Process)(nil)
	_ server.ThreadFacts = (*registers)(nil)
	_ server.HostFacts   = Host{}
)

// clockTick is how long USER_HZ is, in nanoseconds.
const clockTick = 1e7

// stat is what /proc/…/stat says, from the state on, which is field 3.
type stat []string

func readStat(path string) stat {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}

// number returns a field by the number that proc(5) gives it.
func (s stat) number(field int) uint64 {
	if field-3 >= len(s) {
		return 0
	}
	n, _ := strconv.ParseUint(s[field-3], 10, 64)
	return n
}

// fields reads a file of lines "name: number", as /proc/…/status, whose numbers have a base.
func fields(path string, base int) map[string]uint64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	all := map[string]uint64{}
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		if f := strings.Fields(rest); len(f) > 0 {
			all[name], _ = strconv.ParseUint(f[0], base, 64)
		}
	}
	return all
}

// Usage implements [server.TaskFacts].
func (p *Process) Usage() server.TaskUsage {
	s, st := readStat(fmt.Sprintf("/proc/%d/stat", p.PID)), fields(fmt.Sprintf("/proc/%d/status", p.PID), 10)
	u := server.TaskUsage{Virtual: s.number(23), Resident: s.number(24) * pageSize, ResidentMax: st["VmHWM"] << 10,
		Internal: st["RssAnon"] << 10, External: (st["RssFile"] + st["RssShmem"]) << 10,
		User: s.number(14) * clockTick, System: s.number(15) * clockTick,
		Faults: uint32(s.number(10) + s.number(12)), Pageins: uint32(s.number(12)),
		Switches: uint32(st["voluntary_ctxt_switches"] + st["nonvoluntary_ctxt_switches"])}
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.PID)); err == nil {
		u.Regions = uint32(bytes.Count(b, []byte{'\n'}))
	}
	u.EndedUser, u.EndedSystem = u.User, u.System
	for _, tid := range p.tids() {
		t := readStat(fmt.Sprintf("/proc/%d/task/%d/stat", p.PID, tid))
		u.EndedUser -= min(u.EndedUser, t.number(14)*clockTick)
		u.EndedSystem -= min(u.EndedSystem, t.number(15)*clockTick)
	}
	return u
}

// Executable implements [server.TaskFacts]; a report has the build id in its place.
func (p *Process) Executable() (id [16]byte) { return id }

// Usage implements [server.ThreadFacts].
func (r *registers) Usage() server.ThreadUsage {
	dir := fmt.Sprintf("/proc/%d/task/%d/", r.process.PID, r.tid)
	s := readStat(dir + "stat")
	u := server.ThreadUsage{User: s.number(14) * clockTick, System: s.number(15) * clockTick, State: server.Waiting}
	if len(s) > 0 {
		switch s[0] {
		case "R":
			u.State = server.Running
		case "T", "t":
			u.State = server.Stopped
		case "D":
			u.State = server.Uninterruptible
		case "Z", "X":
			u.State = server.Halted
		}
	}
	r.mu.Lock()
	if r.at != nil && !r.fault {
		u.State = server.Stopped
	}
	r.mu.Unlock()
	name, _ := os.ReadFile(dir + "comm")
	u.Name = strings.TrimSuffix(string(name), "\n")
	return u
}

// Host is what Linux knows of the computer.
type Host struct{}

// Numbers of mach/machine.h.
const (
	cpuTypeX86     = 0x01000007
	cpuTypeARM64   = 0x0100000c
	cpuSubtypeX86  = 3
	cpuSubtypeARM  = 0
	versionPattern = "Darwin Kernel Version, as far as Portcullis is one, on %s %s"
)

// Computer implements [server.HostFacts].
func (Host) Computer() server.Computer {
	c := server.Computer{Processors: uint32(runtime.NumCPU()), PhysicalProcessors: uint32(runtime.NumCPU()),
		Memory: fields("/proc/meminfo", 10)["MemTotal"] << 10, PageSize: pageSize, CPUType: cpuTypeX86,
		CPUSubtype: cpuSubtypeX86}
	if cpu == "arm64" {
		c.CPUType, c.CPUSubtype = cpuTypeARM64, cpuSubtypeARM
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		c.Version = fmt.Sprintf(versionPattern, unix.ByteSliceToString(u.Sysname[:]),
			unix.ByteSliceToString(u.Release[:]))
	}
	return c
}

// Load implements [server.HostFacts].
func (Host) Load() (l server.Load) {
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Sscan(string(b), &l.Average[0], &l.Average[1], &l.Average[2])
	}
	if b, err := os.ReadFile("/proc/stat"); err == nil {
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) < 5 || !strings.HasPrefix(f[0], "cpu") || f[0] == "cpu" {
				continue
			}
			var n [4]uint64
			for i := range n {
				n[i], _ = strconv.ParseUint(f[i+1], 10, 64)
			}
			l.Ticks = append(l.Ticks, [4]uint32{uint32(n[0]), uint32(n[2]), uint32(n[3]), uint32(n[1])})
		}
	}
	m, v := fields("/proc/meminfo", 10), vmstat()
	l.Pages = server.Pages{Free: m["MemFree"] / 4, Active: m["Active"] / 4, Inactive: m["Inactive"] / 4,
		Wired: (m["Unevictable"] + m["Slab"] + m["KernelStack"] + m["PageTables"]) / 4, ZeroFilled: v["pgalloc_normal"],
		Reactivated: v["pgactivate"], PagedIn: v["pgpgin"] / 4, PagedOut: v["pgpgout"] / 4, Faults: v["pgfault"]}
	return l
}

// vmstat reads /proc/vmstat.
func vmstat() map[string]uint64 {
	b, _ := os.ReadFile("/proc/vmstat")
	all := map[string]uint64{}
	for line := range strings.Lines(string(b)) {
		var name string
		var n uint64
		if _, err := fmt.Sscan(line, &name, &n); err == nil {
			all[name] = n
		}
	}
	return all
}
