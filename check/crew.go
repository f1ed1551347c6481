package check

import (
	"runtime/debug"
	"sync"
)

// crew runs functions side by side that read mapped files. A file that somebody cuts off meanwhile makes them fault;
// Wait has the fault happen in the goroutine that waits, which is ready for it (see container.Walk).
type crew struct {
	group sync.WaitGroup
	mu    sync.Mutex
	panic any // the first
}

// Go starts f.
func (c *crew) Go(f func()) {
	c.group.Go(func() {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() {
			if r := recover(); r != nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				if c.panic == nil {
					c.panic = r
				}
			}
		}()
		f()
	})
}

// Wait returns when all have returned, and panics as the first of them did that panicked.
func (c *crew) Wait() {
	c.group.Wait()
	if c.panic != nil {
		panic(c.panic)
	}
}
