// Objective-C: what decides is kept in instance variables, and passed in messages. What check must say of each stands in
// object_test.go. With USERS it is a program; with ALONE only what uses the classes.
#include <mach/mach.h>
#define FORBIDDEN ((exception_behavior_t)(EXCEPTION_DEFAULT | MACH_EXCEPTION_CODES))
#define ALLOWED ((exception_behavior_t)(EXCEPTION_IDENTITY_PROTECTED | MACH_EXCEPTION_CODES))
#define REGISTER(port, behavior) \
	(void)task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, port, behavior, THREAD_STATE_NONE)

typedef struct objc_selector *SEL;
__attribute__((objc_root_class)) @interface Root { id isa; }
+ (id)alloc;
- (id)init;
- (id)performSelector:(SEL)selector;
@end
@class NSString;
extern SEL NSSelectorFromString(NSString *);

// Set by an initializer, which is called in one way.
@interface Handler : Root { mach_port_t _port; exception_behavior_t _behavior; }
- (id)initWithPort:(mach_port_t)port forbidden:(exception_behavior_t)behavior;
- (void)install;
- (void)uninstall;
@end
#ifndef ALONE
@implementation Handler
- (id)initWithPort:(mach_port_t)port forbidden:(exception_behavior_t)behavior {
	if ((self = [super init])) {
		_port = port;
		_behavior = behavior;
	}
	return self;
}
- (void)install { REGISTER(_port, _behavior); }
- (void)uninstall { REGISTER(MACH_PORT_NULL, _behavior); }
@end
#endif

// The same with a behavior that harms nobody.
@interface Careful : Root { mach_port_t _port; exception_behavior_t _behavior; }
- (id)initWithPort:(mach_port_t)port allowed:(exception_behavior_t)behavior;
- (void)install;
@end
#ifndef ALONE
@implementation Careful
- (id)initWithPort:(mach_port_t)port allowed:(exception_behavior_t)behavior {
	if ((self = [super init])) {
		_port = port;
		_behavior = behavior;
	}
	return self;
}
- (void)install { REGISTER(_port, _behavior); }
@end
#endif

// Set by a method of its own.
@interface Settable : Root { exception_behavior_t _behavior; }
- (void)setBehavior:(exception_behavior_t)behavior;
- (void)installPort:(mach_port_t)port;
@end
#ifndef ALONE
@implementation Settable
- (void)setBehavior:(exception_behavior_t)behavior { _behavior = behavior; }
- (void)installPort:(mach_port_t)port { REGISTER(port, _behavior); }
@end
#endif

// Passed in a message, to any object that has the method.
@protocol Installs
- (void)installPort:(mach_port_t)port withBehavior:(exception_behavior_t)behavior;
@end
@interface First : Root <Installs> @end
#ifndef ALONE
@implementation First
- (void)installPort:(mach_port_t)port withBehavior:(exception_behavior_t)behavior { REGISTER(port, behavior); }
@end
#endif

// Sent by a selector that is made of its name.
@interface Named : Root
- (void)installNamed:(exception_behavior_t)behavior;
@end
#ifndef ALONE
@implementation Named
- (void)installNamed:(exception_behavior_t)behavior { REGISTER(mach_reply_port(), behavior); }
@end
#endif

#ifdef USERS
@implementation Root
+ (id)alloc { return 0; }
- (id)init { return self; }
- (id)performSelector:(SEL)selector { return self; }
@end
extern id objc_msgSend(id, SEL, ...);
int main(int argc, char **argv) {
	mach_port_t port;
	mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port);
	Handler *handler = [[Handler alloc] initWithPort:port forbidden:FORBIDDEN];
	[handler install];
	[handler uninstall];
	[[[Careful alloc] initWithPort:port allowed:ALLOWED] install];
	Settable *settable = [[Settable alloc] init];
	[settable setBehavior:FORBIDDEN];
	[settable installPort:port];
	id<Installs> any = (id)[[First alloc] init];
	[any installPort:port withBehavior:argc > 1 ? FORBIDDEN : ALLOWED];
	id named = [[Named alloc] init];
	((void (*)(id, SEL, exception_behavior_t))objc_msgSend)(named, NSSelectorFromString(@"installNamed:"), FORBIDDEN);
	return 0;
}
#endif
