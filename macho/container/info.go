package container

import (
	"portcullis.dev/plist"
)

// Info is what the Info.plist of a bundle tells about it. What is missing, or is no string, is "".
// Source: Apple, "Information Property List".
type Info struct {
	Executable     string // CFBundleExecutable: the file name of the main executable
	Identifier     string // CFBundleIdentifier
	Name           string // CFBundleName
	ShortVersion   string // CFBundleShortVersionString: the version people know
	Version        string // CFBundleVersion: the build
	PackageType    string // CFBundlePackageType: APPL, FMWK, BNDL, XPC!
	MinimumOS      string // MinimumOSVersion (iOS and relatives) or LSMinimumSystemVersion (macOS)
	Platform       string // DTPlatformName: macosx, iphoneos, iphonesimulator, …
	SDK            string // DTSDKName
	ExtensionPoint string // NSExtension/NSExtensionPointIdentifier of an app extension
}

// ReadInfo reads an Info.plist, XML or binary. Values of the wrong type are passed over, as the system does.
func ReadInfo(data []byte) (Info, error) {
	var root any
	if err := plist.Unmarshal(data, &root); err != nil {
		return Info{}, err
	}
	dict, ok := root.(map[string]any)
	if !ok {
		return Info{}, &plist.SyntaxError{Reason: "the root is not a dictionary"}
	}
	text := func(d map[string]any, keys ...string) string {
		for _, k := range keys {
			if s, ok := d[k].(string); ok && s != "" {
				return s
			}
		}
		return ""
	}
	extension, _ := dict["NSExtension"].(map[string]any)
	return Info{
		Executable:     text(dict, "CFBundleExecutable"),
		Identifier:     text(dict, "CFBundleIdentifier"),
		Name:           text(dict, "CFBundleName"),
		ShortVersion:   text(dict, "CFBundleShortVersionString"),
		Version:        text(dict, "CFBundleVersion"),
		PackageType:    text(dict, "CFBundlePackageType"),
		MinimumOS:      text(dict, "MinimumOSVersion", "LSMinimumSystemVersion"),
		Platform:       text(dict, "DTPlatformName"),
		SDK:            text(dict, "DTSDKName"),
		ExtensionPoint: text(extension, "NSExtensionPointIdentifier"),
	}, nil
}
