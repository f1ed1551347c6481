package mach

// subsystem is a MIG subsystem: its name, the id of its first routine, and its routines in the order of their ids.
type subsystem struct {
	name     string
	base     int32
	routines []string
}

// Notification ids: messages that the kernel sends on its own account, to a send-once right given for the purpose.
//
// Source: XNU osfmk/mach/notify.h.
const (
	NotifyPortDeleted   int32 = 65
	NotifySendPossible  int32 = 66
	NotifyPortDestroyed int32 = 69
	NotifyNoSenders     int32 = 70
	NotifySendOnce      int32 = 71
	NotifyDeadName      int32 = 72
)

// ReplyOffset is what MIG adds to a request's id for its reply.
const ReplyOffset = 100

var (
	routineNames = map[int32]string{}
	routineIDs   = map[string]int32{}
)

func init() {
	for _, s := range subsystems {
		for i, name := range s.routines {
			if name != "" {
				routineNames[s.base+int32(i)] = name
				routineIDs[name] = s.base + int32(i)
			}
		}
	}
	// The library's form of these passes a port array and stays in the process; the kernel sees three ports.
	routineIDs["_kernelrpc_mach_ports_register3"] = 3403
	routineIDs["_kernelrpc_mach_ports_lookup3"] = 3404
}

// RoutineName returns the MIG routine (or notification) that a message id means to the kernel.
func RoutineName(id int32) (name string, ok bool) {
	name, ok = routineNames[id]
	return name, ok
}

// RoutineID returns the message id of a MIG routine.
func RoutineID(name string) (id int32, ok bool) {
	id, ok = routineIDs[name]
	return id, ok
}

// RoutineSubsystem returns the MIG subsystem that a message id lies in.
func RoutineSubsystem(id int32) (name string, ok bool) {
	for _, s := range subsystems {
		if i := int(id) - int(s.base); i >= 0 && i < len(s.routines) && s.routines[i] != "" {
			return s.name, true
		}
	}
	return "", false
}
