// Classes, and a category of a class of another image.
typedef struct objc_selector *SEL;
__attribute__((objc_root_class)) @interface Root { id isa; int first; }
+ (id)make;
- (int)first;
- (void)setFirst:(int)value second:(int)other;
@end
@implementation Root
+ (id)make { return 0; }
- (int)first { return first; }
- (void)setFirst:(int)value second:(int)other { first = value + other; }
@end
@interface Derived : Root @end
@implementation Derived
- (int)first { return [super first] + 1; }
@end
@interface Derived (More) @end
@implementation Derived (More)
- (int)more { return [self first]; }
@end
__attribute__((objc_root_class)) @interface NSObject { id isa; } @end
@interface NSObject (Ours) @end
@implementation NSObject (Ours)
- (int)ours { return 1; }
+ (int)theirs { return 2; }
@end
