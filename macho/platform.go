package macho

import "fmt"

// Version is a version packed as xxxx.yy.zz in 16, 8 and 8 bits, as in LC_BUILD_VERSION and LC_ID_DYLIB.
type Version uint32

// String returns major.minor, and .patch where it is not zero.
func (v Version) String() string {
	if p := v & 0xff; p != 0 {
		return fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, p)
	}
	return fmt.Sprintf("%d.%d", v>>16, v>>8&0xff)
}

// Platform is the system an image is built for.
type Platform uint32

// Platforms of mach-o/loader.h.
const (
	MacOS             Platform = 1
	IOS               Platform = 2
	TVOS              Platform = 3
	WatchOS           Platform = 4
	BridgeOS          Platform = 5
	MacCatalyst       Platform = 6
	IOSSimulator      Platform = 7
	TVOSSimulator     Platform = 8
	WatchOSSimulator  Platform = 9
	DriverKit         Platform = 10
	VisionOS          Platform = 11
	VisionOSSimulator Platform = 12
	Firmware          Platform = 13
	SEPOS             Platform = 14
)

var platformNames = map[Platform]string{
	MacOS: "macOS", IOS: "iOS", TVOS: "tvOS", WatchOS: "watchOS", BridgeOS: "bridgeOS",
	MacCatalyst: "Mac Catalyst", IOSSimulator: "iOS Simulator", TVOSSimulator: "tvOS Simulator",
	WatchOSSimulator: "watchOS Simulator", DriverKit: "DriverKit", VisionOS: "visionOS",
	VisionOSSimulator: "visionOS Simulator", Firmware: "firmware", SEPOS: "sepOS",
}

// String returns Apple's name of the platform, or its number.
func (p Platform) String() string {
	if s := platformNames[p]; s != "" {
		return s
	}
	return fmt.Sprintf("platform %d", uint32(p))
}

// Simulator says whether images of the platform run in a simulator, on a Mac's kernel.
func (p Platform) Simulator() bool {
	switch p {
	case IOSSimulator, TVOSSimulator, WatchOSSimulator, VisionOSSimulator:
		return true
	}
	return false
}

// Build is one LC_BUILD_VERSION, or one of the older LC_VERSION_MIN commands.
type Build struct {
	Platform Platform
	MinOS    Version // oldest system the image runs on
	SDK      Version // 0 where the linker did not know
}
