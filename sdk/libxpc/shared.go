//go:build linux && cgo

package main

// #include <stdint.h>
// #include "object.h"
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"portcullis.dev/xpc"
)

// Files and shared memory are closed when the last C object, and the last message on its way, that they are in is gone.
var using = struct {
	sync.Mutex
	by map[xpc.Value]int
}{by: make(map[xpc.Value]int)}

// use finds the files and the shared memory in a value and keeps them open until drop.
func use(v xpc.Value, to []xpc.Value) []xpc.Value {
	switch v := v.(type) {
	case *xpc.FD, *xpc.SharedMemory:
		using.Lock()
		using.by[v]++
		using.Unlock()
		return append(to, v)
	case xpc.Array:
		for _, e := range v {
			to = use(e, to)
		}
	case *xpc.Dictionary:
		for _, e := range v.All() {
			to = use(e, to)
		}
	}
	return to
}

func drop(list []xpc.Value) {
	for _, v := range list {
		using.Lock()
		using.by[v]--
		last := using.by[v] == 0
		if last {
			delete(using.by, v)
		}
		using.Unlock()
		if !last {
			continue
		}
		switch v := v.(type) {
		case *xpc.FD:
			v.File.Close()
		case *xpc.SharedMemory:
			v.Close()
		}
	}
}

// duplicate returns another descriptor of an open file; -1 if there can be none.
func duplicate(fd uintptr) int {
	own, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return own
}

//export goFD
func goFD(fd C.int) unsafe.Pointer {
	own := duplicate(uintptr(fd))
	if own < 0 {
		return nil
	}
	return wrap(&xpc.FD{File: os.NewFile(uintptr(own), "fd")})
}

//export goDupFD
func goDupFD(h C.uintptr_t) C.int {
	own := -1
	if f, ok := of(h).value.(*xpc.FD); ok {
		if c, err := f.File.SyscallConn(); err == nil {
			c.Control(func(fd uintptr) { own = duplicate(fd) })
		}
	}
	return C.int(own)
}

// regions is the memory of the program that is shared, by its address.
var regions = struct {
	sync.Mutex
	at map[uintptr]*xpc.SharedMemory
}{at: make(map[uintptr]*xpc.SharedMemory)}

//export goShare
func goShare(region unsafe.Pointer, length C.size_t) unsafe.Pointer {
	m, err := share(region, int(length))
	if err != nil {
		fmt.Fprintf(os.Stderr, "xpc: memory at %p cannot be shared: %v\n", region, err)
		return nil
	}
	return wrap(m)
}

// share makes memory of the program memory to share: what lies there moves to a memory file, which takes its place. The
// same memory is shared but once.
func share(region unsafe.Pointer, length int) (*xpc.SharedMemory, error) {
	at, page := uintptr(region), os.Getpagesize()
	if at%uintptr(page) != 0 || length <= 0 {
		return nil, fmt.Errorf("%d bytes that do not begin a page", length)
	}
	p, err := process()
	if err != nil {
		return nil, err
	}
	regions.Lock()
	defer regions.Unlock()
	if m := regions.at[at]; m != nil {
		using.Lock()
		alive := using.by[m] > 0 && same(at, m)
		if alive {
			using.by[m]++ // until it is wrapped
		}
		using.Unlock()
		if alive {
			defer drop([]xpc.Value{m})
			if m.Len() < length {
				return nil, fmt.Errorf("%d bytes of it are shared already", m.Len())
			}
			return m, nil
		}
		delete(regions.at, at)
	}
	m, err := p.NewSharedMemory(length)
	if err != nil {
		return nil, err
	}
	mem := m.Bytes()
	// The last page may be there in part only for the program, but is there for the system.
	copy(mem, unsafe.Slice((*byte)(region), len(mem)))
	if _, err := alias(mem, at); err != nil {
		m.Close()
		return nil, err
	}
	regions.at[at] = m
	return m, nil
}

// alias maps shared memory once more, at an address or, if that is 0, anywhere.
func alias(mem []byte, at uintptr) (uintptr, error) {
	flags := uintptr(unix.MREMAP_MAYMOVE)
	if at != 0 {
		flags |= unix.MREMAP_FIXED
	}
	got, _, errno := unix.Syscall6(unix.SYS_MREMAP, uintptr(unsafe.Pointer(&mem[0])), 0, uintptr(len(mem)), flags, at, 0)
	runtime.KeepAlive(mem)
	if errno != 0 {
		return 0, fmt.Errorf("mremap: %w", errno)
	}
	return got, nil
}

// same says that the same memory lies at an address as in m: the program may have unmapped it.
func same(at uintptr, m *xpc.SharedMemory) bool {
	there := fileAt(at)
	return there != "" && len(m.Bytes()) > 0 && there == fileAt(uintptr(unsafe.Pointer(&m.Bytes()[0])))
}

// fileAt returns what Linux says of the file that a mapping beginning at an address belongs to: offset, device and inode.
func fileAt(at uintptr) string {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		var mode, offset, device, inode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s %s %s %s", &from, &to, &mode, &offset, &device, &inode); n == 6 && from == at {
			return offset + " " + device + " " + inode
		}
	}
	return ""
}

//export goMap
func goMap(h C.uintptr_t, region *C.uintptr_t) C.size_t {
	m, ok := of(h).value.(*xpc.SharedMemory)
	if !ok || m.Len() == 0 {
		return 0
	}
	at, err := alias(m.Bytes(), 0)
	if err != nil {
		return 0
	}
	*region = C.uintptr_t(at)
	return C.size_t(m.Len())
}
