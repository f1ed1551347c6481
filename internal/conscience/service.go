package conscience

// ServiceName is the name of the service that programs with [Program.Needs] "launchd" look up.
const ServiceName = "dev.portcullis.conscience"

// Service is a C program that provides it: it checks in with the bootstrap server, prints a line, and receives what comes
// and throws it away until it is killed. The port that it receives on is a service port, so that requests need a
// reply port.
const Service = `#include <mach/mach.h>
#include <servers/bootstrap.h>
#include <stdio.h>
int main(void) {
	static struct { mach_msg_header_t header; char rest[4096]; } message;
	mach_port_t port;
	kern_return_t kr = bootstrap_check_in(bootstrap_port, "` + ServiceName + `", &port);
	if (kr != KERN_SUCCESS) {
		printf("bootstrap_check_in: %d\n", kr);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		kr = mach_msg(&message.header, MACH_RCV_MSG, 0, sizeof message, port, MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);
		if (kr == KERN_SUCCESS) mach_msg_destroy(&message.header);
	}
}
`
