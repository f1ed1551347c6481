package exception_test

import (
	"testing"

	"portcullis.dev/kernel/exception"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach/state"
)

// BenchmarkRaise is an exception that a handler in another task handles: two messages, and two changes of goroutine.
func BenchmarkRaise(b *testing.B) {
	for _, f := range forms {
		b.Run(f.behavior.String(), func(b *testing.B) {
			w := newWorld(b, object.Config{})
			p, handler := w.plain(), w.plain()
			port := handler.port()
			p.handle(object.TaskLevel, handler, port, f.behavior, state.X86ThreadState64)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range b.N {
					m := handler.receive(port)
					body := answer(0, 0, nil)
					if f.flavor != 0 {
						body = answer(0, state.X86ThreadState64, moved(m, f.flavor+8))
					}
					handler.reply(m, body)
				}
			}()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if got := exception.Raise(p.th, x); got != exception.Handled {
					b.Fatal(got)
				}
			}
			<-done
			w.end()
		})
	}
}
