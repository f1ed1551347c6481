package entitlement

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"portcullis.dev/macho"
	"portcullis.dev/rules"
)

// FromImage reads the signature and the entitlements of one image: a thin file, or a slice of a universal one. Nothing
// of what it returns refers to the image's memory. Errors name the offset within the signature or its blob.
func FromImage(img *macho.Image) (Inputs, error) {
	in := Inputs{Product: productOf(img.Type), Arch: img.Arch, Simulator: img.Simulator()}
	build := img.Platform()
	in.Platform = platformName(build.Platform)
	if build.MinOS != 0 {
		in.MinOS = rules.OS{Platform: in.Platform, Major: int(build.MinOS >> 16), Minor: int(build.MinOS >> 8 & 0xff)}
	}
	before := len(img.Problems())
	data := img.CodeSignature()
	if data == nil {
		if problems := img.Problems(); len(problems) > before {
			return in, problems[before] // there is a signature, but not within the file
		}
		return in, nil
	}
	sig, err := ParseSignature(data)
	if err != nil {
		return in, err
	}
	if sig.XML != nil {
		// Signers pad an empty claim to an empty blob; it says as much as an empty dictionary.
		if in.XML = (&Set{Format: FormatXML}); len(sig.XML) > 0 {
			if in.XML, err = ParsePlist(sig.XML); err != nil {
				return in, fmt.Errorf("XML entitlements: %w", err)
			}
		}
	}
	if sig.DER != nil {
		if in.DER, err = ParseDER(sig.DER); err != nil {
			return in, err
		}
	}
	sig.XML, sig.DER = nil, nil // they lie in the image's memory, and the sets say it all
	in.Signature = sig
	return in, nil
}

func productOf(t macho.Type) Product {
	switch t {
	case macho.Execute:
		return ProductExecutable
	case macho.Dylib, macho.DylibStub:
		return ProductLibrary
	case macho.Bundle:
		return ProductBundle
	}
	return ProductOther
}

// platformName returns the name of a platform without the word simulator; "" where the image does not name one.
func platformName(p macho.Platform) string {
	switch p {
	case 0:
		return ""
	case macho.IOSSimulator:
		return "iOS"
	case macho.TVOSSimulator:
		return "tvOS"
	case macho.WatchOSSimulator:
		return "watchOS"
	case macho.VisionOSSimulator:
		return "visionOS"
	}
	return p.String()
}

// SidecarSuffix is what the name of an entitlements file has behind that of the program beside it.
const SidecarSuffix = ".entitlements"

// Sidecar reads the entitlements file beside a program, PROGRAM.entitlements: how a program that carries no code
// signature declares what it claims. The error wraps [fs.ErrNotExist] where there is none.
func Sidecar(program string) (*Set, error) {
	path := program + SidecarSuffix
	data, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	set, err := ParsePlist(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return set, nil
}

// readSmall reads a file of the kind that stays below profileMaxSize.
func readSmall(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case !st.Mode().IsRegular():
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	case st.Size() > profileMaxSize:
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%d bytes, more than the limit of %d",
			st.Size(), profileMaxSize)}
	}
	return os.ReadFile(path)
}
