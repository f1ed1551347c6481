package crash

import (
	"fmt"

	"portcullis.dev/mach"
)

// call is what the registers of a thread tell about the trap it was in.
type call struct {
	trap    string // "mach_msg2_trap"
	id      int32  // msgh_id of the message, 0 where unknown
	routine string // MIG routine of that id
	told    bool   // the report says so itself
}

// trapArgument names, for an architecture, the registers that still hold a trap's number and the word of
// mach_msg2_trap with the message id in its upper half.
//
// Source: XNU osfmk/mach/message.h, mach_msg2_trap and its argument packing; xnu libsyscall, the trap stubs.
var trapArgument = map[string]struct {
	number, options, id string
	class               uint64 // added to the number, negated or not
}{
	"arm64":  {number: "x16", options: "x1", id: "x4"},
	"x86_64": {number: "rax", options: "rsi", id: "r8", class: 0x1000000},
}

// call says what trap a thread was in, and what message it sent.
func (r *Report) call(t *Thread) call {
	if r.own == nil {
		return t.call(r.Arch)
	}
	c := call{trap: r.own.Trap, told: true} // the registers are those of Linux, which knows no Mach traps
	if id := r.own.MessageID; id > 0 && id <= 1<<31-1 {
		c.id = int32(id)
		c.routine, _ = mach.RoutineName(c.id)
	}
	return c
}

// call reads the trap arguments of the thread, where its registers are known and its innermost frame is a trap.
func (t *Thread) call(arch string) call {
	var c call
	if len(t.Registers) == 0 || len(t.Frames) == 0 {
		return c
	}
	if arch == "" {
		arch = "arm64"
		if _, ok := t.Registers["rax"]; ok {
			arch = "x86_64"
		}
	}
	a, ok := trapArgument[arch]
	if !ok {
		return c
	}
	top := ""
	for i := 0; i < len(t.Frames) && i < 2 && top == ""; i++ { // under Rosetta the first frame lies in no image
		if _, ok := mach.TrapNumber(t.Frames[i].Symbol); ok {
			top = t.Frames[i].Symbol
		}
	}
	if n, have := t.Registers[a.number]; have && top == "" && len(t.Frames) > 0 {
		if arch == "arm64" && int64(n) < 0 && int64(n) > -128 || arch == "arm64" && int32(uint32(n)) < 0 && int32(uint32(n)) > -128 {
			top, _ = mach.TrapName(int32(uint32(n)))
		} else if n>>24 == a.class>>24 && n&0xffffff < 128 && a.class != 0 {
			top, _ = mach.TrapName(int32(n & 0xffffff))
		}
	}
	c.trap = top
	if top != "mach_msg2_trap" {
		return c
	}
	word := t.Registers[a.id]
	if id := int32(uint32(word >> 32)); id > 0 {
		c.id = id
		c.routine, _ = mach.RoutineName(id)
	}
	return c
}

// String says what the registers show, as evidence.
func (c call) String() string {
	switch {
	case c.routine != "":
		return fmt.Sprintf("the %s that the message was %d, a call of %s", c.source(), c.id, c.routine)
	case c.id != 0:
		return fmt.Sprintf("the %s that the message's id was %d", c.source(), c.id)
	case c.trap != "":
		return "the thread was in " + c.trap
	}
	return ""
}

func (c call) source() string {
	if c.told {
		return "report says"
	}
	return "registers show"
}
