// Package container opens what people hand to a checker: a file, a bundle, an archive, a folder, and archives
// inside any of them. [Walk] gives out the regular files one at a time, in the same order every time, within limits
// that hold for hostile input.
//
// # What is opened
//
// Archives are known by their content, never by their name: zip (and all that is one underneath: ipa, jar, aar, whl,
// nupkg, apk), tar, and tar or a single file compressed with gzip, bzip2, xz or zstd. What holds files but cannot be
// opened here, such as a disk image or an installer package, is reported with what to do about it. Bundles (.app,
// .framework, .xcframework, .appex) are folders by nature; [Bundles] tells from a path which bundles a file belongs to.
//
// # How places are named
//
// A file on disk has its own path and no member, inside a bundle too: that is what a person can open. A file in an
// archive has the archive's path, and as member its path there; archives within archives are joined by "!/", as in
// "Payload.zip!/Foo.app/Foo". Member names are made safe to print: relative, without "..", without control characters.
// Nothing is ever extracted under the name an archive gives it.
//
// # What it costs
//
// Files on disk are mapped. Members of archives are first judged by their head (512 bytes), so that what nobody
// wants is not decompressed further than that where the format allows it (zip); the others are held in memory up to
// 32 MiB, and beyond that in a temporary file which has no name any more by the time the first byte is written to
// it.
package container
