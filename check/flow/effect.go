package flow

// Effect is what is known of a callee. A callee of which nothing is known may keep every pointer it receives and
// write through it at any time.
type Effect struct {
	NoReturn bool
	// Writes lists all the callee writes through pointers that it receives; it keeps none of them.
	Writes []Write
	// Copies: the callee copies Size bytes from argument 1 to argument 0 (memcpy); Fills: it sets them to argument
	// 1's low byte. The size is argument SizeArg.
	Copies, Fills bool
	Pattern       int  // with Copies: it copies the first so many bytes at argument 1 again and again
	Allocates     bool // it returns new memory, or null, and writes nothing; with Zeroes, filled with zeroes
	Zeroes        bool // it sets Size bytes at argument 0 to zero (bzero)
	SizeArg       int
	// Returns says which argument the callee hands back, counted from 1; 0: none.
	Returns int
	// Made says which argument tells what kind of thing the callee hands out through its pointers: argument Made-1, or
	// where MadeBehind the four bytes that it points to. Where that is a constant it shows in [Source.Const], with
	// [MadeKnown] set. 0: none does.
	Made       int
	MadeBehind bool
}

// MadeKnown marks a [Source.Const] of KindOut that tells what kind of thing was handed out.
const MadeKnown = 1 << 32

// Write is memory that a callee writes through a pointer argument.
type Write struct {
	Arg   int // counted from 0
	Bytes int // at most so many, from the pointer on
	Exact bool
}
