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
	Zeroes        bool // it sets Size bytes at argument 0 to zero (bzero)
	SizeArg       int
}

// Write is memory that a callee writes through a pointer argument.
type Write struct {
	Arg   int // counted from 0
	Bytes int // at most so many, from the pointer on
	Exact bool
}
