package exception_test

import (
	"testing"

	"portcullis.dev/kernel/exception"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mach/state"
)

// FuzzReply lets a handler answer with any bytes, as any message. What was sent ends the wait; what was not leaves the
// right to answer, which then goes unused. Nothing is left of either, and registers are set by good answers alone.
func FuzzReply(f *testing.F) {
	for _, form := range forms {
		body := answer(0, 0, nil)
		if form.flavor != 0 {
			body = answer(0, 4, make([]uint32, 42))
		}
		f.Add(uint8(form.behavior.Base()), form.behavior&codes != 0, uint32(mach.MoveSendOnce), form.id+100, uint32(0), body)
	}
	f.Add(uint8(1), true, uint32(mach.MoveSendOnce)|uint32(mach.BitsComplex), int32(2505), uint32(0),
		[]byte{1, 0, 0, 0, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0})
	f.Add(uint8(2), true, uint32(mach.MoveSendOnce)|uint32(mach.CopySend)<<8, int32(2506), uint32(0x103), answer(0, 4, nil))
	f.Fuzz(func(t *testing.T, behavior uint8, long bool, bits uint32, id int32, local uint32, body []byte) {
		if len(body) > 1<<13 {
			return
		}
		b := 1 + mach.ExceptionBehavior(behavior)%5
		if long || b >= mach.ExceptionIdentityProtected {
			b |= codes
		}
		w := newWorld(t, object.Config{DeveloperMode: true})
		p, handler := w.plain(), w.plain()
		port := handler.port()
		p.handle(object.TaskLevel, handler, port, b, state.X86ThreadState64)
		r := p.raise(x)
		m := handler.receive(port)
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		reply := build(mach.Bits(bits), m.Remote, mach.Name(local), id, body)
		if handler.send(reply) != 0 {
			handler.Space.Deallocate(handler.th.IPC, m.Remote)
		} else if rights, kr := handler.Space.Type(handler.th.IPC, m.Remote); kr == 0 && rights&mach.TypeSendOnce != 0 {
			t.Errorf("sent with the right to answer still there: %v", rights)
		}
		select {
		case got := <-r.outcome:
			good := id == m.ID+100 && mach.Bits(bits)&mach.BitsComplex == 0
			if got == exception.Handled && !good || got == exception.Ended || p.cpu.pc() != 0x400000 && got != exception.Handled {
				t.Errorf("%v, pc %#x", got, p.cpu.pc())
			}
		default:
			handler.Space.Deallocate(handler.th.IPC, m.Remote)
			if got := <-r.outcome; got != exception.Unhandled && got != exception.Handled {
				t.Errorf("%v", got)
			}
		}
		w.end()
	})
}
