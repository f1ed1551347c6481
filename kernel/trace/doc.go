// Package trace writes down what the threads of a machine ask of its kernel, while they do: messages with the rights and
// the memory that they carry, calls on port names, tasks that begin and end, and violations.
//
// A [Recorder] is told of calls and turns them into events; a [Sink] writes events, as text for people ([NewText]) or in
// the JSON form of Chrome's trace events, which Perfetto opens ([NewChrome]).
package trace
