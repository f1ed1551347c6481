package ipc

import (
	"sync"

	"portcullis.dev/mach"
)

// Memory is a task's address space as far as messages touch it. Both methods are called
// with nothing locked, for a call that t, a thread of the task, makes.
type Memory interface {
	// CopyIn returns size bytes at addr in a buffer that the kernel keeps. With deallocate the memory leaves the task,
	// so that the buffer can be the task's own and nothing is copied.
	CopyIn(t *Thread, addr uint64, size uint32, deallocate bool) ([]byte, bool)
	// CopyOut places data, which the kernel gives up, in the task and returns its address.
	CopyOut(t *Thread, data []byte) (addr uint64, ok bool)
}

// Lender is a Memory that need not copy at once what goes to another task: Lend is CopyIn, but what the buffer holds is
// undefined until Config.Bring was called with it, or Memory.CopyOut finds it out. Objects of the kernel read what they
// get, so that for them, and for arrays of rights, memory is copied in.
type Lender interface {
	Lend(t *Thread, addr uint64, size uint32) ([]byte, bool)
}

// Identity is what the trailers of a space's messages say of their sender.
type Identity struct {
	Security [2]uint32 // uid, gid
	Audit    mach.AuditToken
}

// Space is the names of one task.
type Space struct {
	kernel   *Kernel
	account  *account
	memory   Memory
	lender   Lender // memory if it is one
	identity Identity
	filtered bool   // the sandbox filters its messages
	policy   uint32 // word of the restrictions, shown in option bits from mach.PolicyShift on

	// Owner is for whoever made the space; the package does not look at it.
	Owner any

	mu      sync.Mutex
	active  bool
	table   []entry // 0 heads the free list
	used    int
	reverse map[*Port]uint32 // index of the name of each port it holds send rights to and does not receive on
}

// SpaceConfig says what a space is made of.
type SpaceConfig struct {
	Memory   Memory // nil: no out-of-line memory can be sent or received
	Identity Identity
	Policy   uint32
	Filtered bool // the sandbox filters its messages
	Owner    any
}

// NewSpace makes an empty space.
func (k *Kernel) NewSpace(c SpaceConfig) *Space {
	k.live.spaces.Add(1)
	lender, _ := c.Memory.(Lender)
	return &Space{kernel: k, account: new(account), memory: c.Memory, lender: lender, identity: c.Identity,
		policy: c.Policy, filtered: c.Filtered, Owner: c.Owner, active: true, table: make([]entry, 1, 32),
		reverse: map[*Port]uint32{}}
}

// Policy returns the restrictions' word for the space.
func (s *Space) Policy() uint32 { return s.policy }

// Identity returns what the trailers of the space's messages say.
func (s *Space) Identity() Identity { return s.identity }

// Kernel returns the kernel the space belongs to.
func (s *Space) Kernel() *Kernel { return s.kernel }

// entry is what a name denotes.
type entry struct {
	port    *Port    // rights to a port
	set     *PortSet // a port set
	request *request
	rights  mach.RightType
	urefs   uint32 // of send rights or a dead name; 1 with a send-once right
	gen     uint8
	flags   entryFlags
	next    uint32 // free list
	prev    uint32
}

// entryFlags have the values that payloads show them with.
type entryFlags uint32

const (
	entryExReceive     entryFlags = 0x00200000 // the receive right was here: asking for it is no programming error
	entryPinned        entryFlags = 0x00400000 // the last send right may not go
	entryImmovableSend entryFlags = 0x00800000 // the send right may not leave the space
)

// bits returns the entry in one word, as payloads show it: generation, flags, rights, user references. XNU keeps two
// more bits of a random rollover beside the generation, which are 0 here.
//
// Source: XNU osfmk/ipc/ipc_entry.h, newest public tree.
func (e *entry) bits() uint32 {
	return uint32(e.gen&^3)<<24 | uint32(e.flags) | uint32(e.rights) | e.urefs
}

// firstGen and genStep make generations 3, 7, 11, ... 255, 3: the two low bits of a name are always set.
const (
	firstGen uint8 = 0xff
	genStep  uint8 = 4
)

func (s *Space) name(i uint32) mach.Name { return mach.MakeName(i, s.table[i].gen) }

// lookup returns the entry of a name and its index, nil if it denotes nothing.
func (s *Space) lookup(n mach.Name) (*entry, uint32) {
	i := n.Index()
	if i == 0 || i >= uint32(len(s.table)) {
		return nil, 0
	}
	e := &s.table[i]
	if e.rights == 0 || e.gen != n.Generation() {
		return nil, 0
	}
	return e, i
}

// live says that an entry denotes a right whose port lives, or a set: the others are no names to calls that translate one.
//
// Source: XNU osfmk/ipc/ipc_right.c, ipc_right_lookup_read.
func (e *entry) live() bool {
	return e != nil && (e.set != nil || e.port != nil && e.port.Active())
}

// grow makes room for at least n entries; false if that is beyond the limit.
func (s *Space) grow(n int) bool {
	if n > s.kernel.limits.Names {
		return false
	}
	old := len(s.table)
	size := min(max(n, 2*old, 16), s.kernel.limits.Names)
	table := make([]entry, size)
	copy(table, s.table)
	s.table = table
	for i := size - 1; i >= old; i-- {
		s.table[i].gen = firstGen
		s.free(uint32(i))
	}
	return true
}

// free puts an entry at the head of the free list.
func (s *Space) free(i uint32) {
	head := s.table[0].next
	s.table[i].prev, s.table[i].next = 0, head
	s.table[0].next = i
	if head != 0 {
		s.table[head].prev = i
	}
}

// unfree takes an entry out of the free list.
func (s *Space) unfree(i uint32) {
	e := &s.table[i]
	s.table[e.prev].next = e.next
	if e.next != 0 {
		s.table[e.next].prev = e.prev
	}
	e.prev, e.next = 0, 0
	s.used++
}

// claim takes a free entry under a new generation. Entries move when it grows the table.
func (s *Space) claim() (*entry, uint32, bool) {
	if s.table[0].next == 0 && !s.grow(len(s.table)+1) {
		return nil, 0, false
	}
	i := s.table[0].next
	s.unfree(i)
	e := &s.table[i]
	*e = entry{gen: e.gen + genStep}
	return e, i, true
}

// claimName takes the entry of a name of the caller's choice, or finds that it is in use.
//
// Source: XNU osfmk/ipc/ipc_entry.c, ipc_entry_alloc_name.
func (s *Space) claimName(n mach.Name) (*entry, uint32, mach.KernReturn) {
	i := n.Index()
	switch {
	case int(i) >= s.kernel.limits.Names:
		return nil, 0, mach.KernNoSpace
	case n&3 != 3:
		return nil, 0, mach.KernInvalidValue
	case i == 0:
		return nil, 0, mach.KernFailure
	case int(i) >= len(s.table) && !s.grow(int(i)+1):
		return nil, 0, mach.KernNoSpace
	}
	e := &s.table[i]
	if e.rights == 0 {
		s.unfree(i)
		*e = entry{gen: n.Generation()}
		return e, i, 0
	}
	if e.gen != n.Generation() {
		return nil, 0, mach.KernFailure
	}
	return e, i, 0
}

// release gives an entry back.
func (s *Space) release(i uint32) {
	s.table[i] = entry{gen: s.table[i].gen}
	s.used--
	s.free(i)
}

// find returns the entry under which the space knows the port already. The port is locked.
func (s *Space) find(p *Port) (*entry, uint32, bool) {
	if p.receiver == s {
		i := p.receiverName.Index()
		return &s.table[i], i, true
	}
	i, ok := s.reverse[p]
	if !ok {
		return nil, 0, false
	}
	return &s.table[i], i, true
}

// locked runs f with the space locked, or returns KERN_INVALID_TASK if the space is dead. Cleanup follows.
func (s *Space) locked(f func(c *cleanup) mach.KernReturn) mach.KernReturn {
	var c cleanup
	s.mu.Lock()
	if !s.active {
		s.mu.Unlock()
		return mach.KernInvalidTask
	}
	kr := f(&c)
	s.mu.Unlock()
	c.run(s.kernel)
	return kr
}

// Terminate ends the space: every right in it is given up as if by the task itself.
//
// Source: XNU osfmk/ipc/ipc_space.c, ipc_space_terminate; osfmk/ipc/ipc_right.c, ipc_right_terminate.
func (s *Space) Terminate() {
	s.mu.Lock()
	if !s.active {
		s.mu.Unlock()
		return
	}
	s.active = false
	table := s.table
	s.table, s.reverse, s.used = nil, nil, 0
	s.mu.Unlock()
	for i := 1; i < len(table); i++ {
		if e := &table[i]; e.rights != 0 {
			var c cleanup
			s.terminate(&c, e, mach.MakeName(uint32(i), e.gen))
			c.run(s.kernel)
		}
	}
	s.kernel.live.spaces.Add(-1)
}

// terminate gives up one entry of a space that is no longer active.
func (s *Space) terminate(c *cleanup, e *entry, name mach.Name) {
	if e.rights == mach.TypePortSet {
		e.set.destroy()
		return
	}
	p := e.port
	if p == nil {
		return
	}
	p.mu.Lock()
	if p.dead.Load() {
		p.mu.Unlock()
		return
	}
	notify := p.cancelRequest(e)
	if e.rights&mach.TypeSend != 0 {
		p.dropSend(c)
	}
	switch {
	case e.rights&mach.TypeReceive != 0 && p.receiver == s:
		p.destroy(c)
	case e.rights&mach.TypeSendOnce != 0:
		p.mu.Unlock()
		c.add(task{kind: taskSendOnceGone, port: p})
	default:
		p.mu.Unlock()
	}
	if notify != nil {
		c.add(task{kind: taskNotify, port: notify, id: mach.NotifyPortDeleted, value: uint32(name)})
	}
}
