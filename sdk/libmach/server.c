/* Loops of servers, and the end of messages that nobody wants. */
#include <stdlib.h>
#include <string.h>

#include <mach/mach.h>
#include <mach/mig_errors.h>

#include "libmach.h"

/* ---- Destroying ----------------------------------------------------------------------------------------------------- */

static void
give_up(mach_port_t port, mach_msg_type_name_t disposition)
{
	if (!MACH_PORT_VALID(port))
		return;
	switch (disposition) {
	case MACH_MSG_TYPE_MOVE_SEND:
	case MACH_MSG_TYPE_MOVE_SEND_ONCE:
		mach_port_deallocate(mach_task_self_, port);
		break;
	case MACH_MSG_TYPE_MOVE_RECEIVE:
		mach_port_mod_refs(mach_task_self_, port, MACH_PORT_RIGHT_RECEIVE, -1);
		break;
	case MACH_MSG_TYPE_MAKE_SEND:
		mach_port_insert_right(mach_task_self_, port, port, MACH_MSG_TYPE_MAKE_SEND);
		mach_port_deallocate(mach_task_self_, port);
		break;
	case MACH_MSG_TYPE_MAKE_SEND_ONCE:
		mach_port_extract_right(mach_task_self_, port, MACH_MSG_TYPE_MAKE_SEND_ONCE, &port, &disposition);
		mach_port_deallocate(mach_task_self_, port);
		break;
	}
}

void
mach_msg_destroy(mach_msg_header_t *msg)
{
	mach_msg_bits_t bits = msg->msgh_bits;
	mach_msg_base_t *base = (mach_msg_base_t *)(void *)msg;
	mach_msg_size_t left;
	char *at, *end;

	give_up(msg->msgh_remote_port, MACH_MSGH_BITS_REMOTE(bits));
	give_up(msg->msgh_voucher_port, MACH_MSGH_BITS_VOUCHER(bits));
	/* The local port of a received message is the receiver's own; the right that the message used is gone. */
	if (!(bits & MACH_MSGH_BITS_COMPLEX))
		return;
	at = (char *)(base + 1);
	end = (char *)msg + msg->msgh_size;
	for (left = base->body.msgh_descriptor_count; left > 0; left--) {
		mach_msg_descriptor_t *d = (mach_msg_descriptor_t *)(void *)at;

		if (at + sizeof(mach_msg_port_descriptor_t) > end)
			return;
		if (d->type.type == MACH_MSG_PORT_DESCRIPTOR) {
			give_up(d->port.name, d->port.disposition);
			at += sizeof(mach_msg_port_descriptor_t);
			continue;
		}
		if (at + sizeof(mach_msg_ool_descriptor_t) > end)
			return;
		switch (d->type.type) {
		case MACH_MSG_OOL_DESCRIPTOR:
		case MACH_MSG_OOL_VOLATILE_DESCRIPTOR:
			if (d->out_of_line.deallocate)
				pt_unmap((uint64_t)(uintptr_t)d->out_of_line.address, d->out_of_line.size);
			break;
		case MACH_MSG_OOL_PORTS_DESCRIPTOR: {
			const mach_port_t *ports = d->ool_ports.address;
			for (mach_msg_size_t i = 0; ports != NULL && i < d->ool_ports.count; i++)
				give_up(ports[i], d->ool_ports.disposition);
			if (d->ool_ports.deallocate)
				pt_unmap((uint64_t)(uintptr_t)ports, (uint64_t)d->ool_ports.count * sizeof *ports);
			break;
		}
		case MACH_MSG_GUARDED_PORT_DESCRIPTOR:
			if (d->guarded_port.flags & MACH_MSG_GUARD_FLAGS_IMMOVABLE_RECEIVE ||
			    d->guarded_port.disposition == MACH_MSG_TYPE_MOVE_RECEIVE)
				mach_port_destruct(mach_task_self_, d->guarded_port.name, 0, d->guarded_port.context);
			break;
		}
		at += sizeof(mach_msg_ool_descriptor_t);
	}
}

/* ---- Serving --------------------------------------------------------------------------------------------------------- */

/* Room for a message of size bytes, as a server declares it, and its trailer. */
static mach_msg_size_t
room_for(mach_msg_size_t size, mach_msg_options_t options)
{
	return round_msg(size) + REQUESTED_TRAILER_SIZE((uint32_t)options);
}

static mach_msg_return_t
serve(boolean_t (*demux)(mach_msg_header_t *, mach_msg_header_t *), mach_msg_size_t max_size, mach_port_t rcv_name,
	mach_msg_options_t options, int once)
{
	mach_msg_size_t reply_room = round_msg(max_size + MAX_TRAILER_SIZE);
	mach_msg_size_t request_room = room_for(max_size, options);
	mach_msg_header_t *request, *reply;
	mach_msg_return_t mr;

	/* Only receiving is the caller's to say. */
	options &= ~(MACH_SEND_MSG | MACH_RCV_MSG);
	reply = calloc(1, reply_room);
	if (reply == NULL)
		return KERN_RESOURCE_SHORTAGE;
	request = calloc(1, request_room);
	if (request == NULL) {
		free(reply);
		return KERN_RESOURCE_SHORTAGE;
	}
	do {
		mig_reply_error_t *r = (mig_reply_error_t *)(void *)reply;

		mr = mach_msg(request, MACH_RCV_MSG | MACH_RCV_VOUCHER | options, 0, request_room, rcv_name, MACH_MSG_TIMEOUT_NONE,
		    MACH_PORT_NULL);
		if (mr == MACH_RCV_TOO_LARGE && (options & MACH_RCV_LARGE)) {
			/* The header says how large; the message still waits. */
			mach_msg_size_t wants = room_for(request->msgh_size, options);
			void *more = wants > request_room ? realloc(request, wants) : NULL;
			if (more == NULL)
				break;
			request = more;
			request_room = wants;
			mr = MACH_MSG_SUCCESS;
			if (once) {
				mr = mach_msg(request, MACH_RCV_MSG | MACH_RCV_VOUCHER | options, 0, request_room, rcv_name,
				    MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);
				if (mr != MACH_MSG_SUCCESS)
					break;
			} else {
				continue;
			}
		}
		if (mr != MACH_MSG_SUCCESS)
			break;
		memset(r, 0, sizeof *r);
		(void)(*demux)(request, reply);
		if (!(reply->msgh_bits & MACH_MSGH_BITS_COMPLEX)) {
			if (r->RetCode == MIG_NO_REPLY) {
				reply->msgh_remote_port = MACH_PORT_NULL;
			} else if (r->RetCode != KERN_SUCCESS && (request->msgh_bits & MACH_MSGH_BITS_COMPLEX)) {
				/* The server has taken nothing. The right to answer is the reply's now. */
				request->msgh_remote_port = MACH_PORT_NULL;
				mach_msg_destroy(request);
			}
		}
		if (reply->msgh_remote_port != MACH_PORT_NULL) {
			/* Nobody is waited for who does not receive, unless it is a right to send once, which always goes. */
			mach_msg_option_t how = MACH_SEND_MSG;
			if (MACH_MSGH_BITS_REMOTE(reply->msgh_bits) != MACH_MSG_TYPE_MOVE_SEND_ONCE)
				how |= MACH_SEND_TIMEOUT;
			mr = mach_msg(reply, how, reply->msgh_size, 0, MACH_PORT_NULL, MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);
			if (mr == MACH_SEND_INVALID_DEST || mr == MACH_SEND_TIMED_OUT) {
				mach_msg_destroy(reply);
				mr = MACH_MSG_SUCCESS;
			}
		}
	} while (mr == MACH_MSG_SUCCESS && !once);
	free(request);
	free(reply);
	return mr;
}

mach_msg_return_t
mach_msg_server_once(boolean_t (*demux)(mach_msg_header_t *, mach_msg_header_t *), mach_msg_size_t max_size,
	mach_port_t rcv_name, mach_msg_options_t options)
{
	return serve(demux, max_size, rcv_name, options, 1);
}

mach_msg_return_t
mach_msg_server(boolean_t (*demux)(mach_msg_header_t *, mach_msg_header_t *), mach_msg_size_t max_size,
	mach_port_t rcv_name, mach_msg_options_t options)
{
	return serve(demux, max_size, rcv_name, options, 0);
}

/* ---- Ports that a task keeps for its library: three, each with a descriptor ------------------------------------------ */

extern kern_return_t _kernelrpc_mach_ports_register3(task_t, mach_port_t, mach_port_t, mach_port_t);
extern kern_return_t _kernelrpc_mach_ports_lookup3(task_t, mach_port_t *, mach_port_t *, mach_port_t *);

kern_return_t
mach_ports_register(task_t task, mach_port_array_t ports, mach_msg_type_number_t count)
{
	mach_port_t three[3] = { MACH_PORT_NULL, MACH_PORT_NULL, MACH_PORT_NULL };

	if (count > 3)
		return KERN_INVALID_ARGUMENT;
	for (mach_msg_type_number_t i = 0; i < count; i++)
		three[i] = ports[i];
	return _kernelrpc_mach_ports_register3(task, three[0], three[1], three[2]);
}

kern_return_t
mach_ports_lookup(task_t task, mach_port_array_t *ports, mach_msg_type_number_t *count)
{
	vm_address_t at = 0;
	kern_return_t kr = vm_allocate(mach_task_self_, &at, 3 * sizeof(mach_port_t), VM_FLAGS_ANYWHERE);
	mach_port_t *three = (mach_port_t *)at;

	if (kr != KERN_SUCCESS)
		return kr;
	kr = _kernelrpc_mach_ports_lookup3(task, &three[0], &three[1], &three[2]);
	if (kr != KERN_SUCCESS) {
		vm_deallocate(mach_task_self_, at, 3 * sizeof(mach_port_t));
		return kr;
	}
	*ports = three;
	*count = 3;
	return KERN_SUCCESS;
}
