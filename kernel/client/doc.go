// Package client makes MIG calls for a task in the kernel's own process: a [Caller] is what generated clients call with
// (rpc.Caller), and a [Memory] stands for the address space that out-of-line memory comes from and goes to.
package client
