package linux

import (
	"encoding/binary"

	"portcullis.dev/kernel/exception"
	"portcullis.dev/mach/state"
	"portcullis.dev/trap"
)

// cpu is the name of the processor, as in object.Config.
const cpu = "arm64"

// machineState is the registers of this processor.
type machineState struct{ state.ARM64 }

// load takes the registers of a record.
func (m *machineState) load(r *trap.Record) bool {
	ok := m.ARM64.Load(r.Registers[:state.ARM64Words], r.Floating[:state.FloatingSize])
	m.Fault, m.Syndrome = r.Address, r.ErrorCode
	return ok
}

// store puts the registers into a record.
func (m *machineState) store(r *trap.Record) bool {
	return m.ARM64.Store(r.Registers[:state.ARM64Words], r.Floating[:state.FloatingSize])
}

// exceptionOf returns the exception that a fault is; false if it is a signal that somebody sent.
func (m *machineState) exceptionOf(i exception.Info, read func([]byte, uint64) error) (exception.Exception, bool) {
	var b [4]byte
	var instruction uint32
	if read(b[:], m.PC) == nil {
		instruction = binary.LittleEndian.Uint32(b[:])
	}
	return exception.OfARM64(i, &m.ARM64, instruction)
}
