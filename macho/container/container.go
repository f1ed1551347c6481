package container

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"strings"

	"portcullis.dev/finding"
)

// Item is a regular file, on disk or inside an archive.
type Item struct {
	Path   string // the file on disk: the file itself, or the outermost archive
	Member string // path inside the archive at Path; "" for a file on disk
	Size   int64  // bytes; always len(Data)
	Data   []byte // the whole content, read-only; valid until visit returns
	Number int    // of the files that the walk gives to visit, in its order, from 0
}

// Name returns path and member as one string, joined the way nested archives are.
func (i Item) Name() string {
	if i.Member == "" {
		return i.Path
	}
	return i.Path + "!/" + i.Member
}

// HeadSize is how much of a file is read before it is decided whether the file is wanted.
const HeadSize = 512

// Links says what to do about symbolic links in folders.
type Links int

const (
	// SkipLinks leaves links alone, as grep -r does. What a link inside the folder names is met under its own name,
	// so a framework's Versions/Current is read once.
	SkipLinks Links = iota
	// FollowLinks also reads what links name outside the folder, each file and folder once.
	FollowLinks
)

// Options say what to read and how much. The zero value reads everything within the default limits.
type Options struct {
	// Want decides from the name (Item.Name) and the first HeadSize bytes (fewer where the file is shorter) whether
	// a file is visited. Archives are opened without being asked for. Nil wants everything.
	Want   func(name string, head []byte) bool
	Links  Links
	Limits Limits
	// Beside is for how many files on disk visit may be called at a time, each in a goroutine of its own; members of
	// archives come one after the other, beside these. 0 is 1: all are visited in the goroutine of Walk.
	Beside int
}

// Limits bound what a walk may cost. A zero field stands for the default.
type Limits struct {
	Depth      int   // archives within archives, the outermost counted (4)
	Members    int   // entries of all archives together (1,000,000)
	Expanded   int64 // bytes that all decompression together may yield (8 GiB)
	Ratio      int64 // times that one archive or member may grow once it is over 64 MiB (250)
	MemberSize int64 // bytes of one member (2 GiB)
	InMemory   int64 // bytes of a member held in memory; larger ones go to a temporary file (32 MiB)
	PathLength int   // bytes of a member's path (4096)
	Unread     int   // unread parts reported one by one; the rest are only counted (1000)
}

// ratioFloor is the size below which a high ratio is nothing to worry about.
const ratioFloor = 64 << 20

func (l Limits) withDefaults() Limits {
	set := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	setInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	setInt(&l.Depth, 4)
	setInt(&l.Members, 1_000_000)
	set(&l.Expanded, 8<<30)
	set(&l.Ratio, 250)
	set(&l.MemberSize, 2<<30)
	set(&l.InMemory, 32<<20)
	setInt(&l.PathLength, 4096)
	setInt(&l.Unread, 1000)
	return l
}

// Stats counts what a walk met.
type Stats struct {
	Files    int   // files on disk and members of archives looked at
	Visited  int   // of those, handed to visit
	Bytes    int64 // handed to visit
	Expanded int64 // that decompression yielded, or set aside for it
	Archives int   // opened
	Members  int   // entries of archives, folders and links among them
	Links    int   // symbolic and hard links not read on their own
	Special  int   // pipes, sockets and devices, which are never opened
	Unread   int   // parts that could not be read
}

// Walk gives the regular files at path to visit, one at a time if options do not say otherwise: the file itself, or all
// that is in the folder or archive, sorted by name in folders and in the archive's own order in archives. Parts that cannot be read are
// given to unread, and the walk goes on; the Offset of an [finding.Unread] counts in the innermost file or
// (uncompressed) archive that its Member names. Walk fails only when visit does, with the error of visit, or when
// ctx is done.
//
// A file that shrinks while visit reads it in the same goroutine counts as unread.
func Walk(ctx context.Context, path string, opts Options, visit func(Item) error,
	unread func(finding.Unread)) (Stats, error) {
	w := newWalker(ctx, opts, visit, unread)
	if opts.Beside > 1 {
		w.beside = newBeside(opts.Beside)
	}
	err := w.root(path)
	if w.beside != nil {
		err = cmp.Or(w.wait(), err)
	}
	return w.stats, err
}

// walker is one walk. Its methods return an error only to end the walk.
type walker struct {
	ctx    context.Context
	opts   Options
	limits Limits
	visit  func(Item) error
	unread func(finding.Unread)
	stats  Stats
	seen   map[fileID]bool // hard-linked files, and with FollowLinks all files and folders
	roots  string          // the folder being walked, without symbolic links

	beside *beside // nil: one file at a time

	buffers   [][]byte   // idle, for members held in memory
	inflaters []inflater // idle
}

func newWalker(ctx context.Context, opts Options, visit func(Item) error, unread func(finding.Unread)) *walker {
	return &walker{ctx: ctx, opts: opts, limits: opts.Limits.withDefaults(), visit: visit, unread: unread,
		seen: make(map[fileID]bool)}
}

// place is where something stands.
type place struct {
	path, member string
	depth        int // archives around it
}

// inside returns the place of the member called name of the archive at p.
func (p place) inside(name string) place {
	if p.member != "" {
		name = p.member + "!/" + name
	}
	p.member = name
	return p
}

func (p place) name() string { return Item{Path: p.path, Member: p.member}.Name() }

// fault is a reason why something cannot be read, with the place in it.
type fault struct {
	off    int64
	reason string
}

func (f *fault) Error() string { return fmt.Sprintf("offset %#x: %s", f.off, f.reason) }

// fail reports that what is at p cannot be read. It returns an error when the cause is that the walk is to end.
func (w *walker) fail(p place, off int64, cause error) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	reason := cause.Error()
	if f, ok := errors.AsType[*fault](cause); ok {
		off, reason = f.off, f.reason
	} else if e, ok := errors.AsType[*fs.PathError](cause); ok {
		reason = e.Err.Error() // the path stands beside it
	}
	w.stats.Unread++
	switch n := w.stats.Unread - w.limits.Unread; {
	case n <= 0:
		w.unread(finding.Unread{Path: p.path, Member: p.member, Offset: off, Reason: reason})
	case n == 1:
		w.unread(finding.Unread{Path: p.path, Reason: fmt.Sprintf(
			"more than %d parts could not be read; the rest are not listed", w.limits.Unread)})
	}
	return nil
}

func (w *walker) failf(p place, off int64, format string, args ...any) error {
	return w.fail(p, off, &fault{off, fmt.Sprintf(format, args...)})
}

// enter counts the archive at p and returns the place inside it; no ok where archives may not be opened any more.
func (w *walker) enter(p place) (in place, ok bool, err error) {
	if p.depth >= w.limits.Depth {
		return p, false, w.failf(p, 0, "archives nested more than %d deep are not read", w.limits.Depth)
	}
	if w.stats.Expanded > w.limits.Expanded {
		return p, false, w.fail(p, 0, errExpanded)
	}
	if w.stats.Members > w.limits.Members {
		return p, false, w.fail(p, 0, errMembers)
	}
	w.stats.Archives++
	p.depth++
	return p, true, nil
}

// member counts an entry of the archive at p and gives its place. No ok where it must not be read, and an *exhausted
// where nothing more of the archive may be.
func (w *walker) member(p place, name string, off int64) (m place, ok bool, err error) {
	if err := w.ctx.Err(); err != nil {
		return p, false, err
	}
	w.stats.Members++
	if w.stats.Members > w.limits.Members {
		return p, false, errMembers
	}
	if w.stats.Expanded > w.limits.Expanded {
		return p, false, errExpanded
	}
	m = p.inside(safeName(name, w.limits.PathLength))
	if len(m.member) > w.limits.PathLength {
		const shown = 200
		m.member = strings.ToValidUTF8(m.member[:min(shown, w.limits.PathLength)], "") + "…"
		return m, false, w.failf(m, off, "path longer than %d bytes", w.limits.PathLength)
	}
	return m, true, nil
}

// exhausted is a limit of the whole walk that has been reached: the archive being read is left.
type exhausted struct{ what string }

func (e *exhausted) Error() string { return e.what }

var (
	errMembers  = &exhausted{"the limit for the entries of all archives is reached; the rest is not read"}
	errExpanded = &exhausted{"the limit for decompressed bytes of all archives is reached; the rest is not read"}
)

func isExhausted(err error) bool {
	_, ok := errors.AsType[*exhausted](err)
	return ok
}

// offer looks at a file: opens it when it is an archive, gives it to visit when it is wanted.
func (w *walker) offer(p place, c *content) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	w.stats.Files++
	head, err := c.peek()
	if err != nil {
		return w.fail(p, c.at, err)
	}
	f := sniff(p.name(), head, c.tail)
	switch {
	case f.refusal != "":
		return w.failf(p, 0, "%s", f.refusal)
	case f.kind == kindPlain:
		if c.verdict == unasked {
			c.verdict = w.ask(p, head)
		}
		if c.verdict == unwanted {
			return nil
		}
		return w.give(p, c)
	}
	in, ok, err := w.enter(p)
	if !ok {
		return err
	}
	switch f.kind {
	case kindTar:
		return w.walkTar(in, c)
	case kindZip:
		data, release, err := w.hold(c)
		if err != nil {
			return w.fail(p, c.at, err)
		}
		defer release()
		return w.walkZip(in, data)
	}
	return w.walkCompressed(in, f.kind, c)
}

// give hands a file to visit.
func (w *walker) give(p place, c *content) error {
	data, release, err := w.hold(c)
	if err != nil {
		return w.fail(p, c.at, err)
	}
	defer release()
	item := Item{Path: p.path, Member: p.member, Size: int64(len(data)), Data: data, Number: w.stats.Visited}
	w.stats.Visited++
	w.stats.Bytes += int64(len(data))
	if w.beside != nil && c.release != nil {
		release := c.release
		c.release = nil
		return w.start(p, item, release)
	}
	if gone, err := w.callVisit(item); err != nil || !gone {
		return err
	}
	return w.cut(p)
}

// cut reports a file that became shorter while visit read it.
func (w *walker) cut(p place) error {
	return w.failf(p, 0, "the file became shorter while it was read")
}

// callVisit calls visit, and turns the fault of reading a mapped file behind its new end into gone.
func (w *walker) callVisit(item Item) (gone bool, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			// Faults of memory access, and only those, know an address.
			if _, ok := r.(interface{ Addr() uintptr }); !ok {
				panic(r)
			}
			gone = true
		}
	}()
	return false, w.visit(item)
}
