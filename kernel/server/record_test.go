package server_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"

	"portcullis.dev/defs/hostpriv"
	"portcullis.dev/defs/machhost"
	"portcullis.dev/defs/machport"
	"portcullis.dev/defs/machvm"
	"portcullis.dev/defs/task"
	"portcullis.dev/defs/threadact"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// served are the messages that were called, and those that succeeded.
var served = struct {
	sync.Mutex
	called, succeeded map[int32]bool
}{called: map[int32]bool{}, succeeded: map[int32]bool{}}

// recorder makes calls, notes which, and looks after every call for what it left: a call that fails must leave the
// task's rights and the kernel's ports as they were, and no call may leave a message.
type recorder struct {
	p *person
	rpc.Caller[mach.Name]
}

// Call implements rpc.Caller.
func (r recorder) Call(req *rpc.Message[mach.Name], o *rpc.Options) (*rpc.Message[mach.Name], mach.KernReturn) {
	r.p.w.Helper()
	id, rights, stats := req.ID, r.p.rights(), r.p.w.IPC.Stats()
	rep, kr := r.Caller.Call(req, o)
	if kr != 0 {
		return rep, kr
	}
	failed := !rep.Complex && len(rep.Body) == 12 && binary.LittleEndian.Uint32(rep.Body[8:]) != 0
	served.Lock()
	served.called[id] = true
	served.succeeded[id] = served.succeeded[id] || !failed
	served.Unlock()
	now := r.p.w.IPC.Stats()
	if now.Messages != stats.Messages && !r.p.w.messages {
		r.p.w.Errorf("message %d: %+v before, %+v after", id, stats, now)
	}
	if id == threadact.IDThreadTerminate || id == task.IDTaskResume2 {
		return rep, kr // takes the right that it is called with, whatever comes of it
	}
	if after := r.p.rights(); failed && (!maps.Equal(rights, after) || now.Ports != stats.Ports) {
		r.p.w.Errorf("message %d failed and left something behind: %v, %+v before; %v, %+v after", id, rights, stats, after,
			now)
	}
	return rep, kr
}

// never are the messages that never succeed, as their servers say.
var never = []int32{
	machport.IDMachPortRename, machport.IDMachPortSpecialReplyPortResetLink, machport.IDMachPortIsConnectionForService,
	task.IDTaskTerminate, task.IDTaskSetInfo, task.IDTaskSetCorpseForkingBehavior, task.IDTaskSetPhysFootprintLimit,
	task.IDTaskSwapMachVoucher, task.IDTaskPolicy, task.IDTaskSetPolicy, task.IDTaskGenerateCorpse,
	task.IDTaskMapCorpseInfo, task.IDTaskMapCorpseInfo64, task.IDTaskMapKcdataObject64, task.IDTaskInspect,
	threadact.IDThreadSwapMachVoucher, threadact.IDThreadDepressAbort,
	machhost.IDMachZoneInfo, machhost.IDMachMemoryInfo,
	machhost.IDMachZoneInfoForZone,
	hostpriv.IDHostReboot, hostpriv.IDHostGetClockControl, hostpriv.IDHostProcessors, hostpriv.IDThreadWire,
	hostpriv.IDVmWire, hostpriv.IDMachVmWire,
	machvm.IDMachVmPageQuery, machvm.IDMachVmPageInfo, machvm.IDMachVmPageRangeQuery, machvm.IDMachMakeMemoryEntry,
	machvm.IDMachVmPurgableControl,
}

// TestMain checks at the end that every routine was called, and that every one that can succeed did.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.list").Value.String() == "" {
		code = complete()
	}
	os.Exit(code)
}

func complete() (code int) {
	served.Lock()
	defer served.Unlock()
	for _, id := range everything {
		name, _ := mach.RoutineName(id)
		switch {
		case !served.called[id]:
			fmt.Printf("no test calls %s, message %d\n", name, id)
			code = 1
		case served.succeeded[id] == slices.Contains(never, id):
			fmt.Printf("%s, message %d: succeeded is %v\n", name, id, served.succeeded[id])
			code = 1
		}
	}
	return code
}

// everything is what [person.known] found.
var everything []int32
