// Package trap is how a task and the kernel talk: the layout of the memory that they share, the packets on the socket
// between them, and the few system calls that both are made with. sdk/libmach/trap.h says the same in C, and says what it
// means; a test compares the two.
//
// # Lanes
//
// A thread that makes calls has a lane: a sealed memory file that it shares with the kernel and with nobody else. A call is
// a request in the lane, then a wake-up; the answer comes the same way. Two tasks never share memory, so that every message
// passes the kernel, which alone decides what is allowed.
//
// # Trust
//
// A task can write anything into its lanes at any time. The kernel reads every word once and judges what it has read. It
// never follows an address, and bounds every size. What a task can reach with a broken lane is its own end.
package trap
