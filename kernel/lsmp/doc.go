// Package lsmp lists the tasks of a machine, the ports that they have names for, and who holds rights to each: what Apple's
// lsmp shows, and the same for programs and for Graphviz.
//
// A listing is a value of its own, so that a kernel can make it and another process show it. The machine runs on while it
// is made: each task's names are of one moment, and so is each port, but not all of them of the same.
package lsmp
