## A message send as Apple's clang compiles it: the linker makes a stub for each selector.
	.section	__TEXT,__text,regular,pure_instructions
	.globl	_send
	.p2align	4
_send:
	jmp	"_objc_msgSend$install:with:"
	.subsections_via_symbols
