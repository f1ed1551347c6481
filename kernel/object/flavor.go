package object

import "portcullis.dev/mach"

// Flavor is the strength of a task or thread port (mach_task_flavor_t, mach_thread_flavor_t): the lower, the stronger.
type Flavor uint32

const (
	Control Flavor = 0
	Read    Flavor = 1
	Inspect Flavor = 2
	Name    Flavor = 3 // of tasks only

	taskFlavors   = 4
	threadFlavors = 3
)

var taskTypes = [taskFlavors]mach.PortType{mach.PortTypeTaskControl, mach.PortTypeTaskRead, mach.PortTypeTaskInspect,
	mach.PortTypeTaskName}

var threadTypes = [threadFlavors]mach.PortType{mach.PortTypeThreadControl, mach.PortTypeThreadRead,
	mach.PortTypeThreadInspect}

// flavorIn returns the flavor of a port type.
func flavorIn(types []mach.PortType, t mach.PortType) (Flavor, bool) {
	for f, typ := range types {
		if typ == t {
			return Flavor(f), true
		}
	}
	return 0, false
}
