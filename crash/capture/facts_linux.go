//go:build amd64 || arm64

package capture

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxProc bounds what is read of a file of /proc.
const maxProc = 64 << 20

// readProc reads a file of /proc/PID.
func readProc(pid int, name string) ([]byte, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxProc))
}

func line(b []byte, err error) string {
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(b), "\n")
}

// facts reads who a process is. What cannot be read stays empty.
func facts(pid int) (Facts, error) {
	f := Facts{PID: pid, UID: -1}
	status, err := readProc(pid, "status")
	if err != nil {
		return f, fmt.Errorf("process %d: %w", pid, err)
	}
	for l := range bytes.Lines(status) {
		key, value, _ := strings.Cut(strings.TrimSpace(string(l)), ":")
		value = strings.TrimSpace(value)
		first, _, _ := strings.Cut(value, "\t")
		switch key {
		case "PPid":
			f.PPID, _ = strconv.Atoi(value)
		case "Uid":
			f.UID, _ = strconv.Atoi(first)
		}
	}
	f.Name = line(readProc(pid, "comm"))
	if f.PPID > 0 {
		f.Parent = line(readProc(f.PPID, "comm"))
	}
	if p, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil {
		f.Path = strings.TrimSuffix(p, " (deleted)")
	}
	f.Arch = hostArch
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		f.Uptime = time.Duration(info.Uptime) * time.Second
	}
	if ticks, ok := startTicks(pid); ok {
		const perSecond = 100 // USER_HZ is 100 on all that we run on
		var now unix.Timespec
		if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) == nil {
			age := time.Duration(now.Nano()) - time.Duration(ticks)*(time.Second/perSecond)
			f.Launched = time.Now().Add(-age)
		}
	}
	f.OS, f.Kernel = systemName()
	f.BootID = line(os.ReadFile("/proc/sys/kernel/random/boot_id"))
	f.Hardware = line(os.ReadFile("/sys/devices/virtual/dmi/id/product_name"))
	if f.Hardware == "" {
		f.Hardware = strings.TrimRight(line(os.ReadFile("/proc/device-tree/model")), "\x00")
	}
	return f, nil
}

// startTicks returns when a process began, in ticks since the machine did.
func startTicks(pid int) (uint64, bool) {
	stat, err := readProc(pid, "stat")
	if err != nil {
		return 0, false
	}
	i := bytes.LastIndexByte(stat, ')') // the name in front may hold anything
	if i < 0 {
		return 0, false
	}
	fields := strings.Fields(string(stat[i+1:]))
	const starttime = 19 // field 22 of proc_pid_stat(5), counted behind the name
	if len(fields) <= starttime {
		return 0, false
	}
	n, err := strconv.ParseUint(fields[starttime], 10, 64)
	return n, err == nil
}

// systemName returns what the distribution and the kernel call themselves.
func systemName() (system, kernel string) {
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Release[:])
	}
	system = "Linux"
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return system, kernel
	}
	defer f.Close()
	for s := bufio.NewScanner(io.LimitReader(f, 1<<16)); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "PRETTY_NAME="); ok {
			if v = strings.Trim(v, `"'`); v != "" {
				system = v
			}
		}
	}
	return system, kernel
}

// inode returns what identifies an open file.
func inode(f *os.File) (ino uint64, regular bool, size int64) {
	st, err := f.Stat()
	if err != nil {
		return 0, false, 0
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false, 0
	}
	return sys.Ino, st.Mode().IsRegular(), st.Size()
}
