// COUNT functions without bounds of their own, each of which calls the first and registers an exception handler.
        .text
_first: nop
        .section __TEXT,__crowd,regular,pure_instructions
        .rept COUNT
_f\+:
#ifdef __arm64__
        bl _f0
        bl _task_set_exception_ports
#else
        call _f0
        call _task_set_exception_ports
#endif
        .endr
        .subsections_via_symbols
