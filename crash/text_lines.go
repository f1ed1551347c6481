package crash

import (
	"strings"

	"portcullis.dev/crash/lenient"
)

// tags are the HTML tags that surround pasted reports; anything else in angle brackets may be a UUID.
var tags = strings.NewReplacer("<details>", "", "</details>", "", "<summary>", "", "</summary>", "", "<pre>", "",
	"</pre>", "", "<code>", "", "</code>", "", "<br>", "", "<br/>", "", "<br />", "", "<p>", "", "</p>", "")

// cleanLine removes what mail programs and markdown put around a line.
func cleanLine(s string) string {
	s = strings.TrimSpace(s)
	for strings.HasPrefix(s, ">") {
		s = strings.TrimSpace(s[1:])
	}
	if strings.IndexByte(s, '<') >= 0 && strings.ContainsAny(s, "dspbc") {
		s = strings.TrimSpace(tags.Replace(s))
	}
	if strings.HasPrefix(s, "```") {
		return ""
	}
	if strings.Contains(s, "**") {
		s = strings.ReplaceAll(s, "**", "")
	}
	if strings.Contains(s, `\_`) || strings.Contains(s, `\(`) { // markdown's escapes
		s = strings.NewReplacer(`\_`, "_", `\(`, "(", `\)`, ")", `\[`, "[", `\]`, "]", `\*`, "*").Replace(s)
	}
	return strings.Trim(s, "`")
}

// parseFrame reads a line of a backtrace: of a report, of LLDB, or retyped without addresses.
func parseFrame(s string) (Frame, bool) {
	f := Frame{ImageIndex: -1}
	s = strings.TrimPrefix(strings.TrimSpace(s), "* ")
	if rest, ok := strings.CutPrefix(strings.TrimSpace(s), "frame #"); ok {
		return parseDebuggerFrame(rest)
	}
	n, rest := leadingInt(s)
	if n < 0 || rest == "" || rest[0] != ' ' && rest[0] != '\t' {
		return f, false
	}
	rest = strings.TrimSpace(rest)
	at := strings.Index(rest, "0x")
	for at > 0 && rest[at-1] != ' ' && rest[at-1] != '\t' {
		next := strings.Index(rest[at+2:], "0x")
		if next < 0 {
			at = -1
			break
		}
		at += 2 + next
	}
	if at < 0 { // no address: image, then symbol
		name, symbol, ok := strings.Cut(rest, "\t")
		if !ok {
			name, symbol, ok = strings.Cut(rest, "  ")
		}
		if !ok {
			name, symbol, ok = strings.Cut(rest, " ")
		}
		if !ok {
			return f, false
		}
		f.Image = strings.TrimSpace(name)
		f.setSymbol(strings.TrimSpace(symbol))
		return f, f.Symbol != ""
	}
	f.Image = strings.TrimSpace(rest[:at])
	if f.Image == "" {
		f.Image = "???"
	}
	addr, symbol, _ := strings.Cut(rest[at:], " ")
	v, ok := lenient.ParseBits(addr)
	if !ok {
		return f, false
	}
	f.Address = v
	f.setSymbol(strings.TrimSpace(symbol))
	return f, true
}

// setSymbol reads "name + 182 (file.cc:12) [inlined]", "0x18bbc6000 + 3232" or "???".
func (f *Frame) setSymbol(s string) {
	if t, ok := strings.CutSuffix(s, " [inlined]"); ok {
		s, f.Inline = t, true
	}
	if strings.HasSuffix(s, ")") {
		if i := strings.LastIndex(s, " ("); i >= 0 {
			file, line, ok := strings.Cut(s[i+2:len(s)-1], ":")
			if n, rest := leadingInt(line); ok && n >= 0 && rest == "" && !strings.ContainsAny(file, " *&<") {
				f.File, f.Line, s = file, n, s[:i]
			}
		}
	}
	name, offset := s, ""
	if i := strings.LastIndex(s, " + "); i >= 0 {
		name, offset = s[:i], s[i+3:]
	}
	n, rest := leadingInt(offset)
	if offset != "" && (n < 0 || rest != "" && rest[0] != ' ') {
		name, n = s, 0
	}
	if strings.HasPrefix(name, "0x") && !strings.ContainsAny(name, " ") {
		if base, ok := lenient.ParseBits(name); ok {
			if f.Offset = uint64(max(n, 0)); f.Address == 0 {
				f.Address = base + f.Offset
			}
			return
		}
	}
	if name == "???" {
		return
	}
	f.Symbol, f.SymbolAt = name, int64(max(n, 0))
}

// parseDebuggerFrame reads "0: 0x0000000189b3541c libsystem_kernel.dylib`__fcntl + 8 at file.c:12".
func parseDebuggerFrame(s string) (Frame, bool) {
	f := Frame{ImageIndex: -1}
	_, s, ok := strings.Cut(s, ":")
	if !ok {
		return f, false
	}
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "0x") {
		addr, rest, _ := strings.Cut(s, " ")
		f.Address, _ = lenient.ParseBits(addr)
		s = strings.TrimSpace(rest)
	}
	image, symbol, ok := strings.Cut(s, "`")
	if !ok {
		return f, false
	}
	f.Image = image
	if name, place, ok := strings.Cut(symbol, " at "); ok {
		symbol = name
		file, line, _ := strings.Cut(place, ":")
		if n, _ := leadingInt(line); n > 0 {
			f.File, f.Line = file, n
		}
	}
	f.setSymbol(strings.TrimSpace(symbol))
	return f, true
}

// parseImage reads a line of "Binary Images", of macOS or iOS:
//
//	0x7ff812553000 - 0x7ff81255efff libsystem_pthread.dylib (*) <2f6c275d-…> /usr/lib/system/libsystem_pthread.dylib
//	0x100e44000 - 0x100f3bfff Example arm64  <0123456789abcdef0123456789abcdef> /var/containers/…/Example
func parseImage(s string) (Image, bool) {
	var im Image
	if !strings.HasPrefix(s, "0x") {
		return im, false
	}
	start, rest, ok := strings.Cut(s, " - ")
	if !ok {
		return im, false
	}
	base, ok1 := lenient.ParseBits(start)
	end, rest, _ := strings.Cut(strings.TrimSpace(rest), " ")
	last, ok2 := lenient.ParseBits(end)
	if !ok1 || !ok2 || last < base {
		return im, false
	}
	im.Base, im.Size = base, last-base+1
	if im.Size == 0 {
		im.Size = last - base
	}
	name := rest
	if i := strings.IndexByte(rest, '<'); i >= 0 {
		name = rest[:i]
		uuid, path, _ := strings.Cut(rest[i+1:], ">")
		im.UUID, im.Path = uuid, strings.TrimSpace(path)
	}
	name = strings.TrimPrefix(strings.TrimSpace(name), "+")
	if i := strings.Index(name, " ("); i > 0 { // version
		im.Version = strings.Trim(name[i+2:], "()* ")
		name = name[:i]
	} else if i := strings.LastIndexByte(name, ' '); i > 0 && strings.Contains("arm64 arm64e armv7 armv7s x86_64 i386", name[i+1:]) {
		im.Arch = name[i+1:]
		name = name[:i]
	}
	im.Name = strings.TrimSpace(name)
	if base := im.Path[strings.LastIndexByte(im.Path, '/')+1:]; base != "" && strings.Contains(im.Name, ".") &&
		!strings.HasSuffix(im.Path, "/"+im.Name) { // macOS prints the bundle's identifier
		im.BundleID, im.Name = im.Name, base
	}
	return im, true
}
