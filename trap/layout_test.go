package trap

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"
)

// TestLayout compares this package with trap.h, as a C compiler reads it.
func TestLayout(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		if os.Getenv("REQUIRE_TOOLCHAIN") != "" {
			t.Fatal(err)
		}
		t.Skip("no C compiler")
	}
	var c Control
	var r Record
	var a Area
	var p Packet
	want := map[string]uint64{
		"sizeof(struct pt_lane)":                  uint64(unsafe.Sizeof(c)),
		"sizeof(struct pt_ool)":                   uint64(unsafe.Sizeof(Piece{})),
		"sizeof(struct pt_record)":                uint64(unsafe.Sizeof(r)),
		"sizeof(struct pt_area)":                  uint64(unsafe.Sizeof(a)),
		"sizeof(struct pt_packet)":                uint64(unsafe.Sizeof(p)),
		"offsetof(struct pt_lane, task_waits)":    uint64(unsafe.Offsetof(c.TaskWaits)),
		"offsetof(struct pt_lane, op)":            uint64(unsafe.Offsetof(c.Op)),
		"offsetof(struct pt_lane, in_size)":       uint64(unsafe.Offsetof(c.InSize)),
		"offsetof(struct pt_lane, ool_count)":     uint64(unsafe.Offsetof(c.OOLCount)),
		"offsetof(struct pt_lane, done)":          uint64(unsafe.Offsetof(c.Done)),
		"offsetof(struct pt_lane, kernel_state)":  uint64(unsafe.Offsetof(c.KernelState)),
		"offsetof(struct pt_lane, answer)":        uint64(unsafe.Offsetof(c.Answer)),
		"offsetof(struct pt_lane, out_size)":      uint64(unsafe.Offsetof(c.OutSize)),
		"offsetof(struct pt_lane, ool_out_count)": uint64(unsafe.Offsetof(c.OOLOutCount)),
		"offsetof(struct pt_lane, upcall)":        uint64(unsafe.Offsetof(c.Upcall)),
		"offsetof(struct pt_lane, args)":          uint64(unsafe.Offsetof(c.Args)),
		"offsetof(struct pt_lane, result)":        uint64(unsafe.Offsetof(c.Result)),
		"offsetof(struct pt_lane, ool_in)":        uint64(unsafe.Offsetof(c.OOLIn)),
		"offsetof(struct pt_lane, ool_out)":       uint64(unsafe.Offsetof(c.OOLOut)),
		"offsetof(struct pt_record, tid)":         uint64(unsafe.Offsetof(r.TID)),
		"offsetof(struct pt_record, address)":     uint64(unsafe.Offsetof(r.Address)),
		"offsetof(struct pt_record, registers)":   uint64(unsafe.Offsetof(r.Registers)),
		"offsetof(struct pt_record, floating)":    uint64(unsafe.Offsetof(r.Floating)),
		"offsetof(struct pt_record, changed)":     uint64(unsafe.Offsetof(r.Changed)),
		"offsetof(struct pt_record, chained)":     uint64(unsafe.Offsetof(r.Chained)),
		"offsetof(struct pt_record, command)":     uint64(unsafe.Offsetof(r.Command)),
		"offsetof(struct pt_record, result)":      uint64(unsafe.Offsetof(r.Result)),
		"offsetof(struct pt_record, arguments)":   uint64(unsafe.Offsetof(r.Arguments)),
		"offsetof(struct pt_area, records)":       uint64(unsafe.Offsetof(a.Records)),
		"offsetof(struct pt_packet, token)":       uint64(unsafe.Offsetof(p.Token)),
		"offsetof(struct pt_packet, text)":        uint64(unsafe.Offsetof(p.Text)),
		"PT_VERSION":                              Version,
		"PT_LANE_SIZE":                            LaneSize,
		"PT_IN":                                   In,
		"PT_IN_SIZE":                              InSize,
		"PT_OUT":                                  Out,
		"PT_OUT_SIZE":                             OutSize,
		"PT_KERNEL_AWAKE":                         KernelAwake,
		"PT_KERNEL_FUTEX":                         KernelFutex,
		"PT_KERNEL_ASLEEP":                        KernelAsleep,
		"PT_OOL_MAX":                              OOLMax,
		"PT_REQUEST_MAX":                          RequestMax,
		"PT_INLINE_MAX":                           InlineMax,
		"PT_LENT_MAX":                             LentMax,
		"PT_COOKIE":                               Cookie,
		"PT_BULK":                                 Bulk,
		"PT_LANDED":                               Landed,
		"PT_KEPT":                                 Kept,
		"PT_ANSWER_DONE":                          AnswerDone,
		"PT_ANSWER_UPCALL":                        AnswerUpcall,
		"PT_ANSWER_DYING":                         AnswerDying,
		"PT_UPCALL_MAP":                           uint64(UpcallMap),
		"PT_UPCALL_UNMAP":                         uint64(UpcallUnmap),
		"PT_UPCALL_PROTECT":                       uint64(UpcallProtect),
		"PT_UPCALL_READ":                          uint64(UpcallRead),
		"PT_UPCALL_WRITE":                         uint64(UpcallWrite),
		"PT_OP_UPCALL_DONE":                       uint64(OpUpcallDone),
		"PT_OP_BACKTRACE":                         uint64(OpBacktrace),
		"PT_OP_MSG2":                              uint64(OpMsg2),
		"PT_OP_MSG_LEGACY":                        uint64(OpMsgLegacy),
		"PT_OP_TASK_SELF":                         uint64(OpTaskSelf),
		"PT_OP_BOOTSTRAP_PORT":                    uint64(OpBootstrapPort),
		"PT_OP_TASK_READ_FOR_PID":                 uint64(OpTaskReadForPID),
		"PT_OP_TASK_INSPECT_FOR_PID":              uint64(OpTaskInspectForPID),
		"PT_OP_PORT_ALLOCATE":                     uint64(OpPortAllocate),
		"PT_OP_PORT_INSERT_RIGHT":                 uint64(OpPortInsertRight),
		"PT_OP_PORT_INSERT_MEMBER":                uint64(OpPortInsertMember),
		"PT_OP_PORT_REQUEST_NOTIFICATION":         uint64(OpPortRequestNotification),
		"PT_OP_SEMAPHORE_SIGNAL":                  uint64(OpSemaphoreSignal),
		"PT_OP_SEMAPHORE_TIMEDWAIT_SIGNAL":        uint64(OpSemaphoreTimedWaitSignal),
		"PT_OP_TIMER_CREATE":                      uint64(OpTimerCreate),
		"PT_OP_TIMER_DESTROY":                     uint64(OpTimerDestroy),
		"PT_OP_VOUCHER_CREATE":                    uint64(OpVoucherCreate),
		"PT_OP_FILEPORT_MAKEPORT":                 uint64(OpFileportMakePort),
		"PT_OP_MEMORY_ENTRY_OPEN":                 uint64(OpMemoryEntryOpen),
		"PT_HELLO":                                uint64(Hello),
		"PT_LANE":                                 uint64(Lane),
		"PT_DOORBELL":                             uint64(Doorbell),
		"PT_GIVE":                                 uint64(Give),
		"PT_TAKE":                                 uint64(Take),
		"PT_FORK":                                 uint64(Fork),
		"PT_INTERRUPT":                            uint64(Interrupt),
		"PT_FAULT":                                uint64(Fault),
		"PT_BYE":                                  uint64(Bye),
		"PT_RETURN":                               uint64(Return),
		"PT_LIST":                                 uint64(List),
		"PT_FATE":                                 uint64(Fate),
		"PT_HELLO_RECORDS":                        HelloRecords,
		"PT_HELLO_FAULTS":                         HelloFaults,
		"PT_HELLO_GO":                             HelloGo,
		"PT_SIGNAL_OFFSET":                        SignalOffset,
		"PT_AREA_RECORDS":                         AreaRecords,
		"PT_AREA_DATA":                            AreaData,
		"PT_AREA_SIZE":                            AreaSize,
		"PT_COMMAND_DATA":                         CommandData,
		"PT_RECORD_FREE":                          RecordFree,
		"PT_RECORD_TAKEN":                         RecordTaken,
		"PT_RECORD_STOPPED":                       RecordStopped,
		"PT_RECORD_COMMAND":                       RecordCommand,
		"PT_RECORD_RESUME":                        RecordResume,
		"PT_RECORD_DEFAULT":                       RecordDefault,
		"PT_RECORD_IS_STOP":                       RecordStop,
		"PT_RECORD_IS_FAULT":                      RecordFault,
	}
	dir := t.TempDir()
	header, err := filepath.Abs("../sdk/libmach/trap.h")
	if err != nil {
		t.Fatal(err)
	}
	var src strings.Builder
	fmt.Fprintf(&src, "#include <stdio.h>\n#include <stddef.h>\n#include %q\nint main(void) {\n", header)
	for k := range want {
		fmt.Fprintf(&src, "printf(\"%%llu %s\\n\", (unsigned long long)(%s));\n", k, k)
	}
	fmt.Fprintf(&src, "printf(\"%%s\\n\", PT_ENVIRONMENT); return 0; }\n")
	name := filepath.Join(dir, "layout.c")
	if err := os.WriteFile(name, []byte(src.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-Wall", "-Werror", "-o", filepath.Join(dir, "layout"), name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(filepath.Join(dir, "layout")).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	seen := 0
	for lines.Scan() {
		var v uint64
		number, what, ok := strings.Cut(lines.Text(), " ")
		if !ok {
			if lines.Text() != Environment {
				t.Errorf("PT_ENVIRONMENT is %q", lines.Text())
			}
			continue
		}
		fmt.Sscan(number, &v)
		if want[what] != v {
			t.Errorf("%s is %#x in C, %#x in Go", what, v, want[what])
		}
		seen++
	}
	if seen != len(want) {
		t.Errorf("%d of %d compared", seen, len(want))
	}
}
