/* Taking EXC_RESOURCE apart. Layout: XNU osfmk/kern/exc_resource.h. */
#ifndef _EXC_RESOURCE_H_
#define _EXC_RESOURCE_H_

/* The code: type in bits 61 to 63, flavor in 58 to 60, the rest as the type wants. */
#define EXC_RESOURCE_DECODE_RESOURCE_TYPE(code) (((code) >> 61) & 0x7ULL)
#define EXC_RESOURCE_DECODE_FLAVOR(code) (((code) >> 58) & 0x7ULL)

#define RESOURCE_TYPE_CPU 1
#define RESOURCE_TYPE_WAKEUPS 2
#define RESOURCE_TYPE_MEMORY 3
#define RESOURCE_TYPE_IO 4
#define RESOURCE_TYPE_THREADS 5
#define RESOURCE_TYPE_PORTS 6

/* Processor: seconds and percent allowed in the code, percent used in the subcode. */
#define FLAVOR_CPU_MONITOR 1
#define FLAVOR_CPU_MONITOR_FATAL 2
#define EXC_RESOURCE_CPUMONITOR_DECODE_INTERVAL(code) (((code) >> 7) & 0x1FFFFFFULL)
#define EXC_RESOURCE_CPUMONITOR_DECODE_PERCENTAGE(code) ((code) & 0x7FULL)
#define EXC_RESOURCE_CPUMONITOR_DECODE_PERCENTAGE_OBSERVED(subcode) ((subcode) & 0x7FULL)

/* Wakeups: seconds, and how many of them each, in the code; how many there were in the subcode. */
#define FLAVOR_WAKEUPS_MONITOR 1
#define EXC_RESOURCE_CPUMONITOR_DECODE_WAKEUPS_PERMITTED(code) ((code) & 0xFFFULL)
#define EXC_RESOURCE_CPUMONITOR_DECODE_OBSERVATION_INTERVAL(code) (((code) >> 20) & 0xFFFFFULL)
#define EXC_RESOURCE_CPUMONITOR_DECODE_WAKEUPS_OBSERVED(subcode) ((subcode) & 0xFFFFFULL)

/* Memory: the limit in megabytes. */
#define FLAVOR_HIGH_WATERMARK 1
#define FLAVOR_DIAG_MEMLIMIT 2
#define EXC_RESOURCE_HWM_DECODE_LIMIT(code) ((code) & 0x1FFFULL)

/* Disk: seconds and megabytes allowed in the code, megabytes written in the subcode. */
#define FLAVOR_IO_PHYSICAL_WRITES 1
#define FLAVOR_IO_LOGICAL_WRITES 2
#define EXC_RESOURCE_IO_DECODE_INTERVAL(code) (((code) >> 15) & 0x1FFFFULL)
#define EXC_RESOURCE_IO_DECODE_LIMIT(code) ((code) & 0x7FFFULL)
#define EXC_RESOURCE_IO_OBSERVED(subcode) ((subcode) & 0x7FFFULL)

/* Threads, ports: how many there are. */
#define FLAVOR_THREADS_HIGH_WATERMARK 1
#define EXC_RESOURCE_THREADS_DECODE_THREADS(code) ((code) & 0x7FFFULL)
#define FLAVOR_PORT_SPACE_FULL 1
#define EXC_RESOURCE_THREADS_DECODE_PORTS(code) ((code) & 0xFFFFFFULL)

#endif
