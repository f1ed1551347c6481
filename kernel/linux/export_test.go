//go:build linux

package linux

// Bounds of what the kernel holds, in bytes.
const (
	LargeMost  = largeMost
	LandedMost = landedMost
)

// Held returns how many bytes there are in large buffers, and in landings.
func (k *Kernel) Held() (large, landed int64) { return k.large.Load(), k.landed.Load() }
