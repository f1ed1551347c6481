// Package daemon runs a launchd: a kernel for Linux processes, of which it is itself a task, jobs that are processes,
// a bootstrap port that answers their questions, and a socket for launchctl.
package daemon
