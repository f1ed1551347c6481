package linux

import (
	"portcullis.dev/kernel/exception"
	"portcullis.dev/mach/state"
	"portcullis.dev/trap"
)

// cpu is the name of the processor, as in object.Config.
const cpu = "x86_64"

// machineState is the registers of this processor.
type machineState struct{ state.AMD64 }

// load takes the registers of a record.
func (m *machineState) load(r *trap.Record) bool {
	return m.AMD64.Load(r.Registers[:state.AMD64Words], r.Floating[:state.FXSaveSize])
}

// store puts the registers into a record.
func (m *machineState) store(r *trap.Record) bool {
	return m.AMD64.Store(r.Registers[:state.AMD64Words], r.Floating[:state.FXSaveSize])
}

// exceptionOf returns the exception that a fault is; false if it is a signal that somebody sent.
func (m *machineState) exceptionOf(i exception.Info, _ func([]byte, uint64) error) (exception.Exception, bool) {
	return exception.OfAMD64(i, &m.AMD64)
}
