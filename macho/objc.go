package macho

import (
	"encoding/binary"
	"sync"
)

// ObjCClass is what an image says of a class that it defines, or of one that a category in it adds to. The layout is
// that of the Objective-C 2 runtime (objc4, runtime/objc-runtime-new.h: class_t, class_ro_t, category_t, method_list_t).
type ObjCClass struct {
	Name string // "" where a category adds to a class of another image whose name is not known
	// Methods are those of its objects; ClassMethods those of the class itself.
	Methods, ClassMethods []ObjCMethod
}

// ObjCMethod is a method with its implementation in the image.
type ObjCMethod struct {
	Selector string
	Code     uint64 // address of the implementation
}

type objcTable struct {
	once    sync.Once
	classes []ObjCClass
	refs    map[string][]uint64
	refOnce sync.Once
}

// objcBudget bounds what is kept of an image: lists and names may be used many times over.
type objcBudget struct{ methods, bytes int }

func (m *Image) objcBudget() *objcBudget {
	return &objcBudget{min(maxObjCMethods, len(m.data)), len(m.data)}
}

func (b *objcBudget) spent() bool { return b.methods <= 0 || b.bytes <= 0 }

const (
	maxObjCMethods  = 1 << 18 // of an image; the largest programs have some hundred thousand
	maxSelector     = 4096    // bytes
	smallMethodList = 1 << 31 // flag of a list of relative offsets
	directSelectors = 1 << 30 // flag: its selectors are offsets of names (only in the shared cache)
)

// ObjCClasses returns the classes and categories that the image defines. The slice is shared: do not change it.
func (m *Image) ObjCClasses() []ObjCClass {
	t := &m.objc
	t.once.Do(func() {
		if !m.InScope() {
			return
		}
		left := m.objcBudget()
		for i := range m.Sections {
			s := &m.Sections[i]
			switch s.Name {
			case "__objc_classlist", "__objc_nlclslist":
				m.eachPointer(s, func(class uint64) bool {
					t.classes = append(t.classes, m.readObjCClass(class, left))
					return !left.spent()
				})
			case "__objc_catlist", "__objc_nlcatlist", "__objc_catlist2":
				m.eachPointer(s, func(cat uint64) bool {
					t.classes = append(t.classes, m.readObjCCategory(cat, left))
					return !left.spent()
				})
			}
		}
		if left.spent() {
			m.problem(0, "more Objective-C methods than there can be")
		}
	})
	return t.classes
}

// SelectorRefs returns the places of the image that hold a selector: slots that code loads which sends it, and constant
// strings of Core Foundation of which a selector may be made.
func (m *Image) SelectorRefs(selector string) []uint64 {
	t := &m.objc
	t.refOnce.Do(func() {
		t.refs = map[string][]uint64{}
		left := m.objcBudget()
		for i := range m.Sections {
			s := &m.Sections[i]
			var step, off uint64 // of entries, and of the pointer in them
			switch s.Name {
			case "__objc_selrefs":
				step = 8
			case "__cfstring": // isa, flags, characters, length
				step, off = 32, 16
			default:
				continue
			}
			end := uint64(len(s.Data()))
			for at := uint64(0); at+step <= end && !left.spent(); at += step {
				if p, ok := m.Pointer(s.Addr + at + off); ok && p.Import == "" {
					if name, ok := m.selector(p.Target, left); ok {
						t.refs[name] = append(t.refs[name], s.Addr+at)
					}
				}
			}
		}
	})
	return t.refs[selector]
}

// selector reads the name of a selector or class.
func (m *Image) selector(addr uint64, left *objcBudget) (string, bool) {
	b := m.rest(addr)
	name := cstring(b[:min(len(b), maxSelector)], 0)
	if len(name) == 0 || len(name) == maxSelector {
		return "", false
	}
	left.bytes -= len(name)
	return string(name), !left.spent()
}

// eachPointer calls f with the pointers of a section that lead into the image, until f answers false.
func (m *Image) eachPointer(s *Section, f func(uint64) bool) {
	end := uint64(len(s.Data()))
	for at := uint64(0); at+8 <= end; at += 8 {
		if p, ok := m.Pointer(s.Addr + at); ok && p.Import == "" && !f(p.Target) {
			return
		}
	}
}

// pointerTo follows a pointer of the image to another place of it.
func (m *Image) pointerTo(slot uint64) (uint64, bool) {
	p, ok := m.Pointer(slot)
	if !ok || p.Import != "" || m.SectionAt(p.Target) == nil {
		return 0, false
	}
	return p.Target, true
}

func (m *Image) readObjCClass(class uint64, left *objcBudget) (c ObjCClass) {
	const isaOffset = 0
	if data, ok := m.objcData(class); ok {
		c.Name = m.objcName(data, left)
		c.Methods = m.objcMethods(data, left)
	}
	if meta, ok := m.pointerTo(class + isaOffset); ok && meta != class {
		if data, ok := m.objcData(meta); ok {
			m.objcName(data, left) // the same name, which counts again against what may be kept
			c.ClassMethods = m.objcMethods(data, left)
		}
	}
	return c
}

// objcData follows a class to its class_ro_t.
func (m *Image) objcData(class uint64) (uint64, bool) {
	const (
		dataOffset = 32
		swiftBits  = 7 // of the pointer
	)
	p, ok := m.Pointer(class + dataOffset)
	if !ok || p.Import != "" {
		return 0, false
	}
	return p.Target &^ swiftBits, true
}

// objcName reads the name in a class_ro_t; "" if there is none.
func (m *Image) objcName(data uint64, left *objcBudget) (name string) {
	const nameOffset = 24
	if at, ok := m.pointerTo(data + nameOffset); ok {
		name, _ = m.selector(at, left)
	}
	return name
}

// objcMethods reads the methods of a class_ro_t.
func (m *Image) objcMethods(data uint64, left *objcBudget) []ObjCMethod {
	const methodsOffset = 32
	if at, ok := m.pointerTo(data + methodsOffset); ok {
		return m.readObjCMethods(at, left)
	}
	return nil
}

func (m *Image) readObjCCategory(cat uint64, left *objcBudget) (c ObjCClass) {
	const (
		classOffset        = 8
		methodsOffset      = 16
		classMethodsOffset = 24
	)
	if p, ok := m.Pointer(cat + classOffset); ok {
		if name, ok := cutClassSymbol(p.Import); ok {
			c.Name = name
		} else if p.Import == "" {
			if data, ok := m.objcData(p.Target); ok {
				c.Name = m.objcName(data, left)
			}
		}
	}
	if at, ok := m.pointerTo(cat + methodsOffset); ok {
		c.Methods = m.readObjCMethods(at, left)
	}
	if at, ok := m.pointerTo(cat + classMethodsOffset); ok {
		c.ClassMethods = m.readObjCMethods(at, left)
	}
	return c
}

// cutClassSymbol returns the class that a symbol stands for.
func cutClassSymbol(symbol string) (string, bool) {
	const prefix = "_OBJC_CLASS_$_"
	if len(symbol) > len(prefix) && symbol[:len(prefix)] == prefix {
		return symbol[len(prefix):], true
	}
	return "", false
}

// readObjCMethods reads a method_list_t: of pointers, or of offsets from where they stand.
func (m *Image) readObjCMethods(list uint64, left *objcBudget) (out []ObjCMethod) {
	head := m.Bytes(list, 8)
	if head == nil {
		return nil
	}
	flags, count := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:])
	size := uint64(flags & 0xfffc)
	small := flags&smallMethodList != 0
	if small && size < 12 || !small && size < 24 {
		return nil
	}
	for i := range uint64(count) {
		at := list + 8 + i*size
		if left.methods--; left.spent() || m.Bytes(at, int(min(size, 24))) == nil {
			break
		}
		if me, ok := m.readObjCMethod(at, small, flags&directSelectors != 0, left); ok {
			out = append(out, me)
		}
	}
	return out
}

func (m *Image) readObjCMethod(at uint64, small, direct bool, left *objcBudget) (me ObjCMethod, ok bool) {
	if !small {
		name, ok := m.pointerTo(at)
		code, ok2 := m.pointerTo(at + 16)
		if !ok || !ok2 {
			return me, false
		}
		me.Selector, ok = m.selector(name, left)
		me.Code = code
		return me, ok
	}
	name, ok := m.relative(at)
	code, ok2 := m.relative(at + 8)
	if !ok || !ok2 {
		return me, false
	}
	if !direct {
		if name, ok = m.pointerTo(name); !ok {
			return me, false
		}
	}
	me.Selector, ok = m.selector(name, left)
	me.Code = code
	return me, ok
}

// relative follows an offset of 32 bits from where it stands.
func (m *Image) relative(at uint64) (uint64, bool) {
	if m.Type == Object {
		for _, r := range m.Reloc(at, 1) {
			if r.Kind == RelocPointer && r.Defined {
				return r.Target, true
			}
		}
		return 0, false
	}
	b := m.Bytes(at, 4)
	if b == nil {
		return 0, false
	}
	target := at + uint64(int64(int32(binary.LittleEndian.Uint32(b))))
	return target, m.SectionAt(target) != nil
}
