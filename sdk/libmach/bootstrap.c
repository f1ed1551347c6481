/* Names of services. */
#include <string.h>
#include <sys/types.h>

#include <mach/mach_port.h>
#include <servers/bootstrap.h>

#include "generated/bootstrap.h"
#include "libmach.h"

/* A name that is too long for the message is no service's. */
static kern_return_t
fit(name_t to, const char *from)
{
	if (from == NULL || strlen(from) >= sizeof(name_t))
		return BOOTSTRAP_UNKNOWN_SERVICE;
	strncpy(to, from, sizeof(name_t));
	return BOOTSTRAP_SUCCESS;
}

kern_return_t
bootstrap_look_up2(mach_port_t bp, const char *service_name, mach_port_t *sp, pid_t target, uint64_t flags)
{
	unsigned char instance[16] = { 0 };
	audit_token_t creds;
	name_t name;
	kern_return_t kr = fit(name, service_name);

	if (kr == BOOTSTRAP_SUCCESS)
		kr = vproc_mig_look_up2(bp, name, sp, &creds, target, instance, flags);
	if (kr != BOOTSTRAP_SUCCESS)
		*sp = MACH_PORT_NULL;
	return kr;
}

kern_return_t
bootstrap_look_up(mach_port_t bp, const char *service_name, mach_port_t *sp)
{
	return bootstrap_look_up2(bp, service_name, sp, 0, 0);
}

kern_return_t
bootstrap_check_in(mach_port_t bp, const char *service_name, mach_port_t *sp)
{
	unsigned char instance[16] = { 0 };
	name_t name;
	kern_return_t kr = fit(name, service_name);

	if (kr == BOOTSTRAP_SUCCESS)
		kr = vproc_mig_check_in2(bp, name, sp, instance, 0);
	if (kr != BOOTSTRAP_SUCCESS)
		*sp = MACH_PORT_NULL;
	return kr;
}

kern_return_t
bootstrap_register2(mach_port_t bp, char *service_name, mach_port_t sp, int flags)
{
	name_t name;
	kern_return_t kr = fit(name, service_name);

	return kr == BOOTSTRAP_SUCCESS ? vproc_mig_register2(bp, name, sp, (uint64_t)(unsigned int)flags) : kr;
}

kern_return_t
bootstrap_register(mach_port_t bp, char *service_name, mach_port_t sp)
{
	return bootstrap_register2(bp, service_name, sp, 0);
}

kern_return_t
bootstrap_create_server(mach_port_t bp, char *server_cmd, uid_t server_uid, boolean_t on_demand, mach_port_t *server_port)
{
	return vproc_mig_create_server(bp, server_cmd, server_uid, on_demand, server_port);
}

kern_return_t
bootstrap_subset(mach_port_t bp, mach_port_t requestor, mach_port_t *subset)
{
	return vproc_mig_subset(bp, requestor, subset);
}

kern_return_t
bootstrap_parent(mach_port_t bp, mach_port_t *parent)
{
	return vproc_mig_parent(bp, parent);
}

const char *
bootstrap_strerror(kern_return_t r)
{
	switch (r) {
	case BOOTSTRAP_SUCCESS:
		return "Success";
	case BOOTSTRAP_NOT_PRIVILEGED:
		return "Permission denied";
	case BOOTSTRAP_NAME_IN_USE:
	case BOOTSTRAP_SERVICE_ACTIVE:
		return "Service name already exists";
	case BOOTSTRAP_UNKNOWN_SERVICE:
		return "Unknown service name";
	case BOOTSTRAP_BAD_COUNT:
		return "Too many lookups were requested in one request";
	case BOOTSTRAP_NO_MEMORY:
		return "Out of memory";
	}
	return "Unknown error";
}
