// Package launchd manages jobs: programs that are started when somebody needs them, and the names under which they are
// found. It is the part of a launchd that decides. What it decides about it reaches through interfaces: a Clock, a
// Spawner that starts programs, Ports that hold messages until a program takes them, Files that are looked at. So every
// decision can be tested without a process, a socket or a second of waiting.
//
// # Jobs
//
// A Job is what a launchd.plist says. Loaded into a domain it is in one of these states:
//
//	waiting    nothing runs; the job is started by a message to one of its services, a connection to one of its
//	           sockets, a path, an interval, a date, KeepAlive, or by hand
//	throttled  it is to run, but ran too short a while ago
//	running    its program runs
//	stopping   its program was told to end, and is killed if it does not
//
// # Names
//
// A domain has names of services. Each has a port, whose receive right the domain holds while no program has checked
// in. Messages that come meanwhile stay in its queue: the first of them starts the job. When the program dies the port
// comes back with what was not taken, unless the job wants a new one each time.
//
// What is the same as Apple's: keys, defaults, orders of checks and codes are those of launchd-842 (src/core.c,
// src/job.defs, man/launchd.plist.5), the last public one.
//
// # Locks
//
// Launchd.mu is held for every decision, and while Ports and Spawner are called; they must not call back.
package launchd
