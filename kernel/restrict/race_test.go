package restrict_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// TestConcurrentPrograms runs random programs of the fuzzer's kind, one for each task, all at once and on each other's
// spaces, while tasks end at different times.
func TestConcurrentPrograms(t *testing.T) {
	for round := range 20 {
		r := &restrict.Restrictions{}
		k := ipc.New(ipc.Config{Restrictions: r, Limits: ipc.Limits{Names: 1 << 10, Ports: 1 << 9, Bytes: 1 << 20}})
		w := &world{TB: t, k: k, r: r}
		var tasks []*person
		for _, l := range rules.Levels() {
			task := restrict.NewTask(restrict.ForLevel(l))
			task.Launchd = l == rules.LevelPlatform
			p := w.join(task)
			self := k.NewObjectPort(mach.PortTypeTaskControl, &control{task})
			p.InsertSend(self.MakeSend(), true)
			t.Cleanup(self.Destroy)
			tasks = append(tasks, p)
		}
		var wg sync.WaitGroup
		for i, p := range tasks {
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer p.Terminate()
				rnd := rand.New(rand.NewPCG(uint64(round), uint64(i)))
				b := make([]byte, 4096)
				for i := range b {
					b[i] = byte(rnd.Uint32())
				}
				prog := &program{b}
				for range rnd.IntN(600) {
					restrict.Of(p.t).Return(prog.call(p, tasks))
				}
			}()
		}
		wg.Wait()
		// Rights to the control ports are all that is left, and with them nothing.
		if s := k.Stats(); s.Messages != 0 || s.Spaces != 0 || s.Bytes != 0 || s.Ports != int64(len(tasks)) {
			t.Fatalf("left behind: %+v", s)
		}
	}
}
