package macho

// Load commands of mach-o/loader.h that are read; reqDyld marks those without which dyld refuses the image.
const (
	reqDyld = 0x80000000

	lcSegment              = 0x1
	lcSymtab               = 0x2
	lcThread               = 0x4
	lcUnixThread           = 0x5
	lcDysymtab             = 0xb
	lcLoadDylib            = 0xc
	lcIDDylib              = 0xd
	lcLoadWeakDylib        = 0x18 | reqDyld
	lcSegment64            = 0x19
	lcUUID                 = 0x1b
	lcRPath                = 0x1c | reqDyld
	lcCodeSignature        = 0x1d
	lcReexportDylib        = 0x1f | reqDyld
	lcLazyLoadDylib        = 0x20
	lcEncryptionInfo       = 0x21
	lcDyldInfo             = 0x22
	lcDyldInfoOnly         = 0x22 | reqDyld
	lcLoadUpwardDylib      = 0x23 | reqDyld
	lcVersionMinMacOS      = 0x24
	lcVersionMinIPhoneOS   = 0x25
	lcFunctionStarts       = 0x26
	lcMain                 = 0x28 | reqDyld
	lcEncryptionInfo64     = 0x2c
	lcVersionMinTVOS       = 0x2f
	lcVersionMinWatchOS    = 0x30
	lcBuildVersion         = 0x32
	lcDyldExportsTrie      = 0x33 | reqDyld
	lcDyldChainedFixups    = 0x34 | reqDyld
	threadStateX86_64      = 4
	threadStateARM64       = 6
	maxSegments            = 512
	maxSections            = 1024
	maxProblems            = 32
	maxNameLength          = 1 << 15 // longest symbol name taken seriously; Swift's reach a few thousand bytes
	fatEntrySize32         = 20
	fatEntrySize64         = 32
	machHeaderSize32       = 28
	machHeaderSize64       = 32
	fatHeaderSize          = 8
	sectionSize32          = 68
	sectionSize64          = 80
	segmentCommandSize32   = 56
	segmentCommandSize64   = 72
	nlistSize32            = 12
	nlistSize64            = 16
	relocationSize         = 8
	dylibCommandHeaderSize = 24
)
