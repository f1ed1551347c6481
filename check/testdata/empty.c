// A program or library that calls nothing.
#ifdef MAIN
int main(void) { return 0; }
#else
int NAME(void) { return 0; }
#endif
