package container

import (
	"cmp"
	"sync"

	"golang.org/x/sync/semaphore"
)

// besideBytes is how much the files that are visited at the same time may have together; a larger one is visited alone.
const besideBytes = 256 << 20

// beside is the visits of files on disk that go on beside the walk.
type beside struct {
	room  *semaphore.Weighted
	least int64 // bytes that a file counts for at least, so that there are not too many
	group sync.WaitGroup

	mu   sync.Mutex
	gone []place // files that became shorter
	err  error   // the first that visit returned
	hurt any     // what visit panicked with, the first
}

func newBeside(most int) *beside {
	return &beside{room: semaphore.NewWeighted(besideBytes), least: besideBytes / int64(most)}
}

// start visits a file on disk, as soon as there is room, and gives it up after that.
func (w *walker) start(p place, item Item, release func()) error {
	b := w.beside
	cost := min(max(item.Size, b.least), besideBytes)
	if err := b.room.Acquire(w.ctx, cost); err != nil {
		release()
		return err
	}
	b.mu.Lock()
	err := b.err
	b.mu.Unlock()
	if err != nil {
		b.room.Release(cost)
		release()
		return err
	}
	b.group.Go(func() {
		defer b.room.Release(cost)
		defer release()
		defer func() {
			if r := recover(); r != nil {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.hurt = cmp.Or(b.hurt, r)
			}
		}()
		gone, err := w.callVisit(item)
		b.mu.Lock()
		defer b.mu.Unlock()
		if gone {
			b.gone = append(b.gone, p)
		}
		if b.err == nil {
			b.err = err
		}
	})
	return nil
}

// wait lets all visits end. It returns an error if one of them failed, and panics as one of them did.
func (w *walker) wait() error {
	b := w.beside
	b.group.Wait()
	if b.hurt != nil {
		panic(b.hurt)
	}
	for _, p := range b.gone {
		if err := w.cut(p); err != nil {
			return err
		}
	}
	return b.err
}
