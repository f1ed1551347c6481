#ifndef _MACH_VM_MAP_H_
#define _MACH_VM_MAP_H_

#include <mach/mach_types.h>

#ifdef __cplusplus
extern "C" {
#endif

extern kern_return_t vm_allocate(vm_map_t target_task, vm_address_t *address, vm_size_t size, int flags);
extern kern_return_t vm_deallocate(vm_map_t target_task, vm_address_t address, vm_size_t size);
extern kern_return_t vm_protect(vm_map_t target_task, vm_address_t address, vm_size_t size, boolean_t set_maximum,
	vm_prot_t new_protection);
extern kern_return_t vm_inherit(vm_map_t target_task, vm_address_t address, vm_size_t size, vm_inherit_t new_inheritance);
extern kern_return_t vm_read(vm_map_t target_task, vm_address_t address, vm_size_t size, vm_offset_t *data,
	mach_msg_type_number_t *dataCnt);
extern kern_return_t vm_write(vm_map_t target_task, vm_address_t address, vm_offset_t data, mach_msg_type_number_t dataCnt);
extern kern_return_t vm_copy(vm_map_t target_task, vm_address_t source_address, vm_size_t size, vm_address_t dest_address);
extern kern_return_t vm_read_overwrite(vm_map_t target_task, vm_address_t address, vm_size_t size, vm_address_t data,
	vm_size_t *outsize);
extern kern_return_t vm_msync(vm_map_t target_task, vm_address_t address, vm_size_t size, vm_sync_t sync_flags);
extern kern_return_t vm_behavior_set(vm_map_t target_task, vm_address_t address, vm_size_t size,
	vm_behavior_t new_behavior);
extern kern_return_t vm_map(vm_map_t target_task, vm_address_t *address, vm_size_t size, vm_address_t mask, int flags,
	mem_entry_name_port_t object, vm_offset_t offset, boolean_t copy, vm_prot_t cur_protection, vm_prot_t max_protection,
	vm_inherit_t inheritance);
extern kern_return_t vm_remap(vm_map_t target_task, vm_address_t *target_address, vm_size_t size, vm_address_t mask,
	int flags, vm_map_t src_task, vm_address_t src_address, boolean_t copy, vm_prot_t *cur_protection,
	vm_prot_t *max_protection, vm_inherit_t inheritance);
extern kern_return_t vm_region_64(vm_map_t target_task, vm_address_t *address, vm_size_t *size, vm_region_flavor_t flavor,
	vm_region_info_t info, mach_msg_type_number_t *infoCnt, mach_port_t *object_name);
extern kern_return_t vm_region_recurse_64(vm_map_t target_task, vm_address_t *address, vm_size_t *size,
	natural_t *nesting_depth, vm_region_recurse_info_t info, mach_msg_type_number_t *infoCnt);

#ifdef __cplusplus
}
#endif

#endif
