package check

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"

	"portcullis.dev/mach"
	"portcullis.dev/macho"
)

// maxTraps is the number of system calls of an image that are looked at. Programs of that many are obfuscated.
const maxTraps = 1024

// trapSites returns the instructions of an image that may send a message by a system call of its own. The system's own
// libraries make theirs, and are not among the files.
func trapSites(img *macho.Image) []uint64 {
	var (
		mu    sync.Mutex
		sites []uint64
		group crew
	)
	find := svcSites
	if img.CPU == macho.CPUAMD64 {
		find = syscallSites
	}
	for _, c := range chunks(img, workers()) {
		group.Go(func() {
			found := find(c)
			mu.Lock()
			defer mu.Unlock()
			sites = append(sites, found...)
		})
	}
	group.Wait()
	slices.Sort(sites)
	sites = slices.Compact(sites)
	return sites[:min(len(sites), maxTraps)]
}

// svcSites finds svc of any immediate.
func svcSites(c chunk) []uint64 {
	var out []uint64
	const mask, svc = 0xffe0001f, 0xd4000001
	const mask2, svc2 = mask<<32 | mask, svc<<32 | svc
	text := c.code
	i := 0
	for ; i+8 <= len(text); i += 8 {
		x := binary.LittleEndian.Uint64(text[i:])&mask2 ^ svc2
		if uint32(x) == 0 {
			out = append(out, c.addr+uint64(i))
		}
		if x>>32 == 0 {
			out = append(out, c.addr+uint64(i)+4)
		}
	}
	if i+4 <= len(text) && binary.LittleEndian.Uint32(text[i:])&mask == svc {
		out = append(out, c.addr+uint64(i))
	}
	return out
}

// numberReach is how many bytes before a syscall instruction the number of a trap is looked for.
const numberReach = 512

// syscallSites finds syscall instructions that a number of a message trap stands before. Their two bytes are met by
// chance in any code, that number hardly ever.
func syscallSites(c chunk) []uint64 {
	var out []uint64
	try := func(i int) {
		if c.code[i] != 0x0f || c.code[i+1] != 0x05 {
			return
		}
		before := c.code[max(0, i-numberReach):i]
		for _, name := range []string{"mach_msg_trap", "mach_msg_overwrite_trap", "mach_msg2_trap"} {
			if t, ok := mach.TrapNumber(name); ok && bytes.Contains(before, []byte{byte(-t), 0, 0, 1}) {
				out = append(out, c.addr+uint64(i))
				return
			}
		}
	}
	// Pairs of bytes at even and at odd places, eight bytes at a time: where one of the four is syscall, it is zero here.
	const pair, low, high = 0x050f050f050f050f, 0x0001000100010001, 0x8000800080008000
	zero := func(x uint64) uint64 { return ((x ^ pair) - low) &^ (x ^ pair) & high }
	i := 0
	for ; i+9 <= len(c.code); i += 8 {
		x := binary.LittleEndian.Uint64(c.code[i:])
		odd := x>>8 | uint64(c.code[i+8])<<56
		if zero(x)|zero(odd) != 0 {
			for j := range 8 {
				try(i + j)
			}
		}
	}
	for ; i+2 <= len(c.code); i++ {
		try(i)
	}
	return out
}
