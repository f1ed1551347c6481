// Package lint finds routines that the Mach IPC restrictions of hardened processes forbid, when the interface is
// compiled: long before a process is killed for the message.
//
// Whether a message kills depends on who sends it and where it goes, so the linter asks two things of a routine. Is it
// served by the kernel, or by another process? What the kernel answers is never checked, and what it is sent may carry
// rights that must not travel elsewhere. And does the message carry what no hardened process may send: arrays of
// rights, rights to control a task or thread, a reply port that is none?
package lint

import (
	"fmt"
	"strings"

	"portcullis.dev/mach"
	"portcullis.dev/mig/model"
	"portcullis.dev/mig/source"
	"portcullis.dev/rules"
)

// Check adds to errs a diagnostic of the given severity for each routine that is forbidden to processes from some level
// on; level leaves out what only kills above it (rules.LevelPlatform leaves out nothing).
func Check(i *model.Interface, level rules.Level, severity source.Severity, errs *source.List) {
	l := &linter{level: level, severity: severity, errs: errs}
	for _, r := range i.Routines() {
		l.kernel = i.KernelServer || kernelPorts[base(r.RequestPort.Type)]
		l.routine(r)
	}
	errs.Sort()
}

type linter struct {
	level    rules.Level
	severity source.Severity
	errs     *source.List
	kernel   bool // the routine is served by the kernel
}

// controlPorts are C types of rights to a task or thread that may not leave the process: true for those that cannot be
// moved at any level.
//
// Source: XNU osfmk/mach/mach_types.h; osfmk/kern/ipc_tt.c, which rights are immovable.
var controlPorts = map[string]bool{
	"task_t": false, "task_port_t": false, "thread_t": false, "thread_act_t": false, "thread_port_t": false,
	"thread_act_consume_ref_t": false,
	"task_read_t":              true, "task_inspect_t": true, "thread_read_t": true, "thread_inspect_t": true,
}

// kernelPorts are C types of rights to objects of the kernel, to which requests of kernel subsystems are sent.
var kernelPorts = map[string]bool{
	"task_t": true, "task_port_t": true, "task_read_t": true, "task_inspect_t": true, "task_name_t": true,
	"task_policy_set_t": true, "task_policy_get_t": true, "task_id_token_t": true, "task_suspension_token_t": true,
	"thread_t": true, "thread_act_t": true, "thread_read_t": true, "thread_inspect_t": true, "thread_port_t": true,
	"vm_map_t": true, "vm_map_read_t": true, "vm_map_inspect_t": true, "vm_task_entry_t": true,
	"ipc_space_t": true, "ipc_space_read_t": true, "ipc_space_inspect_t": true,
	"host_t": true, "host_priv_t": true, "host_name_port_t": true, "host_security_t": true,
	"processor_t": true, "processor_set_t": true, "processor_set_name_t": true, "clock_serv_t": true,
	"clock_ctrl_t": true, "semaphore_t": true, "mem_entry_name_port_t": true, "ipc_voucher_t": true,
	"ledger_t": true, "eventlink_t": true,
}

// base returns the name by which a type is known: of the types that it is a copy of, the first that the tables have,
// else its own.
func base(t *model.Type) string {
	for a := t; a != nil; a = a.Alias {
		for _, name := range []string{a.Name, a.UserType} {
			if _, ok := controlPorts[name]; ok || kernelPorts[name] {
				return name
			}
		}
	}
	return t.Name
}

// warn reports a violation of a rule that kills from the level of one of its cases.
func (l *linter) warn(pos source.Pos, word, rule string, from rules.Level, notes []string, format string, args ...any) {
	r, ok := rules.ByName(rule)
	if !ok || from > l.level {
		return
	}
	l.errs.Add(source.Diagnostic{
		Pos: pos, Length: len(word), Severity: l.severity, Message: fmt.Sprintf(format, args...),
		Rule: r.Name, Level: from.String(), Notes: append(notes, "see "+r.Help()),
	})
}

func (l *linter) routine(r *model.Routine) {
	l.portArrays(r, &r.Request, "request", true)
	l.portArrays(r, &r.Reply, "reply", !l.kernel)
	for _, a := range r.Args {
		switch {
		case a.Direction == model.ReplyPort || a.Direction == model.UserReplyPort:
			l.replyPort(r, a)
		case a.Direction.Sent() && a.Type.IsPort() && !l.kernel, a.Direction.Returned() && a.Type.IsPort() && !l.kernel:
			l.controlPort(a)
		case a.Direction.Sent() && a.Type.IsPort():
			l.movedToKernel(a)
		}
	}
	if l.kernel && r.Simple {
		l.warn(r.Pos, r.Name, "INVALID_OPTIONS", rules.LevelNone,
			[]string{"declare it as routine, so that the client waits for the kernel's answer"},
			"simpleroutine %q is sent to the kernel without waiting for the answer", r.Name)
	}
	if l.kernel && r.Request.Count > mach.MaxKobjectDescriptors {
		l.errs.Add(source.Diagnostic{Pos: r.Pos, Length: len(r.Name), Severity: l.severity, Message: fmt.Sprintf(
			"request %q carries %d descriptors, and the kernel's objects take %d: it is refused with MACH_SEND_TOO_LARGE",
			r.Name, r.Request.Count, mach.MaxKobjectDescriptors)})
	}
	l.calls(r)
}

// portArrays warns of arrays of rights out of line.
//
// Source: XNU osfmk/ipc/ipc_policy.c, ipc_validate_kmsg_header_schema_from_user; ipc_kmsg.c, copyin of port arrays.
func (l *linter) portArrays(r *model.Routine, m *model.Message, what string, checked bool) {
	if !checked {
		return
	}
	n := 0
	for _, d := range m.Descriptors {
		if d.Kind == model.PortsDescriptor {
			n += d.N
		}
	}
	if n == 0 {
		return
	}
	rule, _ := rules.ByName("OOL_PORT_ARRAY")
	for _, d := range m.Descriptors {
		if d.Kind != model.PortsDescriptor {
			continue
		}
		note := "pass each right in an argument of its own, or in array[*:N] of a port type, " +
			"which uses descriptors of single rights"
		why := "no port may be sent one, but a connection port made for it"
		if what == "reply" {
			why = "a reply port may not be sent one"
		}
		if n > 1 {
			why += fmt.Sprintf(", and no message may carry %d", n)
		}
		if in := d.Arg.Type.In; in != int32(mach.CopySend) {
			why += fmt.Sprintf(", and rights in it must be copied (MACH_MSG_TYPE_COPY_SEND), not %s", disposition(in))
		}
		l.warn(d.Arg.Pos, d.Arg.Name, rule.Name, rule.KillsFrom, []string{note},
			"%q puts an array of rights into the %s of %q: %s", d.Arg.Name, what, r.Name, why)
	}
}

func disposition(n int32) string {
	if n == model.Polymorphic {
		return "chosen at run time"
	}
	return mach.Disposition(n).String()
}

// controlPort warns of rights to tasks and threads in messages between processes.
func (l *linter) controlPort(a *model.Arg) {
	name := base(a.Type.Leaf())
	always, known := controlPorts[name]
	if !known {
		return
	}
	rule, from := "ILLEGAL_MOVE", rules.Level1
	what := "controls a task or thread"
	note := "send a task identity token (task_create_identity_token), or the name port (task_name_t)"
	if always {
		what = "reads a task or thread"
	}
	verb := "gives"
	if a.Type.In == int32(mach.MoveSend) {
		verb = "moves"
	}
	l.warn(a.Pos, a.Name, rule, from, []string{note},
		"%q %s another process a right that %s (%s): it may not leave "+
			"the process that it speaks of", a.Name, verb, what, name)
}

// movedToKernel warns of control rights that are moved, not copied, in a call of the kernel: the names of the task
// itself and its first threads are pinned, and cannot be given up.
func (l *linter) movedToKernel(a *model.Arg) {
	name := base(a.Type.Leaf())
	if _, known := controlPorts[name]; !known || a.Type.In != int32(mach.MoveSend) {
		return
	}
	l.warn(a.Pos, a.Name, "MOD_REFS", rules.Level1, []string{"use a type with MACH_MSG_TYPE_COPY_SEND"},
		"%q moves a right to a task or thread (%s) away, "+
			"and the last reference to a pinned one cannot be given up", a.Name, name)
}

// replyPort warns of reply ports that the client brings along.
func (l *linter) replyPort(r *model.Routine, a *model.Arg) {
	in := a.Type.In
	if in == int32(mach.MakeSendOnce) || in == int32(mach.MoveSendOnce) {
		l.warn(a.Pos, a.Name, "REQUIRE_REPLY_PORT_SEMANTICS", rules.LevelNone,
			[]string{"leave the argument out: the stub then uses the reply port of the thread (mig_get_reply_port)"},
			"routine %q takes its reply port from the caller: a service kills for any that was not made as one", r.Name)
		return
	}
	l.warn(a.Pos, a.Name, "ILLEGAL_MOVE", rules.LevelNone,
		[]string{"use a type with MACH_MSG_TYPE_MAKE_SEND_ONCE, or leave the argument out"},
		"reply port %q is sent as %s, and a right to a reply port can only be made for one answer", a.Name, disposition(in))
}

// calls warns of the kernel's routines that are forbidden whoever asks, where an interface declares them under the
// kernel's own ids.
func (l *linter) calls(r *model.Routine) {
	name, ok := mach.RoutineName(r.ID)
	if !ok {
		return
	}
	switch strings.TrimSuffix(name, "_from_user") {
	case "exception_raise", "exception_raise_state", "exception_raise_state_identity",
		"mach_exception_raise", "mach_exception_raise_state", "mach_exception_raise_state_identity":
		l.warn(r.Pos, r.Name, "SET_EXCEPTION_BEHAVIOR", rules.Level1,
			[]string{"serve mach_exception_raise_identity_protected, and register with EXCEPTION_IDENTITY_PROTECTED"},
			"%q is delivered to handlers whose behavior no hardened process may register", r.Name)
	case "thread_set_state", "act_set_state":
		l.warn(r.Pos, r.Name, "THREAD_SET_STATE", rules.Level1, nil,
			"%q sets the registers of a thread from outside", r.Name)
	}
}
