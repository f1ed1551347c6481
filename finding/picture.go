package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A picture shows which code of a program calls what: from the program over the component, the function and the
// function called to the restriction, in columns, with a line for every step. It is laid out here, so that the page
// needs no script for it. Lengths are those of the SVG, in which a character of the labels is about 7 wide.

// Limits of a picture. What is beyond them is drawn as one box that says how many.
const (
	maxPictures           = 24 // programs
	maxPictureComponents  = 10
	maxPictureFunctions   = 8 // of a component, and more where there are few components
	maxPictureFunctionSum = 30
)

// Columns of a picture.
const (
	programColumn = iota
	componentColumn
	functionColumn
	callColumn
	ruleColumn
)

// pictureColumns are the left edges and widths of the columns, and how many characters fit.
var pictureColumns = [...]struct{ x, width, chars int }{
	{0, 150, 18}, {196, 194, 24}, {436, 270, 34}, {756, 222, 28}, {1024, 226, 29},
}

const (
	pictureWidth = 1250
	nodeHeight   = 40 // with two lines of text
	nodeGap      = 12
	pictureTop   = 30 // of the boxes, below the names of the columns
)

// tone says how bad something is, as a class of the style sheet. Lines have a dash pattern of their own for each, so
// that colour says nothing alone.
type tone int

const (
	toneLives tone = iota
	tonePossible
	toneKills
)

// String is the class.
func (t tone) String() string { return [...]string{"lives", "maybe", "dies"}[t] }

func toneOf(f *Finding) tone {
	switch {
	case f.KillsHere && f.Confidence != Possible:
		return toneKills
	case f.KillsHere:
		return tonePossible
	}
	return toneLives
}

// picture is one drawing.
type picture struct {
	ID, Title, Description string
	Width, Height          int
	Heads                  []pictureHead
	Nodes                  []*pictureNode
	Lines                  []*pictureLine
}

type pictureHead struct {
	X    int
	Text string
}

// pictureNode is a box with one or two lines of text.
type pictureNode struct {
	X, Y, Width, Height int
	TextWidth           int
	FirstY, SecondY     int    // baselines, in the box
	First, Second, Full string // Full has what First has no room for
	Link                string // anchor on the page; "" for none
	Tone                tone

	column  int
	key     string
	in, out []*pictureLine
}

// middle is the height at which the box wants its neighbours.
func (n *pictureNode) middle() int { return n.Y + n.Height/2 }

// pictureLine leads from a box to one in the next column.
type pictureLine struct {
	Path  string
	Width int
	Tone  tone

	from, to *pictureNode
	count    int
}

// drawing makes a picture.
type drawing struct {
	report  *Report
	columns [len(pictureColumns)][]*pictureNode
	nodes   map[string]*pictureNode
	lines   map[[2]*pictureNode]*pictureLine
	order   []*pictureLine
}

// held sorts findings by the components that hold them.
func (r *Report) held() map[componentID][]*Finding {
	held := map[componentID][]*Finding{}
	for i := range r.Findings {
		f := &r.Findings[i]
		for _, id := range componentIDs(f) {
			held[id] = append(held[id], f)
		}
	}
	return held
}

// componentID tells components apart that findings are in.
type componentID struct{ path, member, sdk string }

func (c *Component) id() componentID {
	id := componentID{path: c.Path, member: c.Member}
	if c.SDK != nil {
		id.sdk = c.SDK.Name
	}
	return id
}

// componentIDs returns the components that a finding may be in: the file, or the static library whose member it is.
func componentIDs(f *Finding) []componentID {
	id := componentID{path: f.Where.Path, member: f.Where.Member}
	if f.SDK != nil {
		id.sdk = f.SDK.Name
	}
	ids := []componentID{id}
	if library, _, ok := strings.Cut(f.Where.Member, "!/"); ok {
		ids = append(ids, componentID{id.path, library, id.sdk})
		if i := strings.LastIndex(f.Where.Member, "!/"); i > len(library) {
			ids = append(ids, componentID{id.path, f.Where.Member[:i], id.sdk})
		}
	}
	if f.Where.Member != "" {
		ids = append(ids, componentID{id.path, "", id.sdk}) // a static library on disk
	}
	return ids
}

// draw makes the picture of a program; nil where there is nothing to draw.
func (r *Report) draw(p *Program, held map[componentID][]*Finding, number int) *picture {
	d := &drawing{report: r, nodes: map[string]*pictureNode{}, lines: map[[2]*pictureNode]*pictureLine{}}
	title := p.title()
	if p.Path == "" {
		title = "no program found"
	}
	root := d.node(programColumn, "", title, p.judged(), "")
	left, drawn := maxPictureFunctionSum, 0
	for i, c := range p.Components {
		findings := held[c.id()]
		if len(findings) == 0 {
			continue
		}
		if drawn == maxPictureComponents || left <= 0 {
			n := d.node(componentColumn, "more", fmt.Sprintf("%d more components", len(p.Components)-i), "in the table above", "")
			d.line(root, n, toneLives)
			break
		}
		share := left / min(len(p.Components)-i, maxPictureComponents-drawn)
		drawn++
		left -= d.component(root, c, findings, min(left, max(share, maxPictureFunctions)))
	}
	if drawn == 0 {
		return nil
	}
	return d.picture(p, number)
}

// component adds a component with its functions, of which most are drawn by themselves, and returns how many were.
func (d *drawing) component(root *pictureNode, c *Component, findings []*Finding, most int) int {
	whose := c.Owner.phrase()
	if c.SDK != nil {
		whose = "with " + strings.TrimSpace(c.SDK.Name+" "+c.SDK.Version)
	}
	id := c.id()
	key := strings.Join([]string{id.path, id.member, id.sdk}, "\x00")
	box := d.node(componentColumn, key, strings.TrimSpace(c.Name+" "+c.Version), whose, "")
	// The same call in several slices is one.
	byFunction := map[string][]*Finding{}
	var functions []string
	for _, e := range (&group{Findings: findings}).entries() {
		of := e.Where.Member + "\x00" + e.Where.Function
		if e.Where.Function == "" {
			of += e.Where.Address
		}
		if byFunction[of] == nil {
			functions = append(functions, of)
		}
		byFunction[of] = append(byFunction[of], e.Finding)
	}
	worst := func(of string) int {
		w := 0
		for _, f := range byFunction[of] {
			w = max(w, severity(f))
		}
		return w
	}
	slices.SortStableFunc(functions, func(a, b string) int { return cmp.Compare(worst(b), worst(a)) })
	for i, of := range functions {
		if i == most-1 && len(functions) > most {
			rest := d.node(functionColumn, key+"\x00more", fmt.Sprintf("%d more functions", len(functions)-i), "listed below", "")
			for _, of := range functions[i:] {
				for _, f := range byFunction[of] {
					d.call(box, rest, f)
				}
			}
			return most
		}
		f := byFunction[of][0]
		name := "no name"
		if f.Where.Function != "" {
			name = f.function()
		}
		n := d.node(functionColumn, key+"\x00"+of, name, d.where(f), "f-"+f.Fingerprint)
		for _, f := range byFunction[of] {
			d.call(box, n, f)
		}
	}
	return len(functions)
}

// where says in a few words where a function is.
func (d *drawing) where(f *Finding) string {
	if src := f.Where.source(); src != "" {
		return src[strings.LastIndexByte(src, '/')+1:]
	}
	if _, object, ok := strings.Cut(f.Where.Member, "!/"); ok {
		return object
	}
	return f.Where.Address
}

// call adds the way of one finding from its component on.
func (d *drawing) call(component, function *pictureNode, f *Finding) {
	t := toneOf(f)
	callee := f.Callee
	if callee == "" {
		callee = "no call"
	}
	call := d.node(callColumn, callee, callee, "", "")
	rule := d.node(ruleColumn, f.Rule, f.Rule, fromLevel(f.KillsFrom), htmlID(f.Rule))
	d.line(d.columns[programColumn][0], component, t)
	d.line(component, function, t)
	d.line(function, call, t)
	d.line(call, rule, t)
}

// node returns the box of a column with a key, made if it is not there.
func (d *drawing) node(column int, key, first, second, link string) *pictureNode {
	k := fmt.Sprint(column, key)
	if n := d.nodes[k]; n != nil {
		return n
	}
	c := pictureColumns[column]
	first = Printable(first)
	n := &pictureNode{X: c.x, Width: c.width, TextWidth: c.width - 4, First: shorten(first, c.chars), Full: first,
		Second: shorten(Printable(second), c.chars), Link: Printable(link), column: column, key: key}
	d.nodes[k] = n
	d.columns[column] = append(d.columns[column], n)
	return n
}

// line adds to the line between two boxes.
func (d *drawing) line(from, to *pictureNode, t tone) {
	l := d.lines[[2]*pictureNode{from, to}]
	if l == nil {
		l = &pictureLine{from: from, to: to}
		d.lines[[2]*pictureNode{from, to}] = l
		d.order = append(d.order, l)
		from.out, to.in = append(from.out, l), append(to.in, l)
	}
	l.count++
	l.Tone = max(l.Tone, t)
	from.Tone, to.Tone = max(from.Tone, t), max(to.Tone, t)
}

// picture lays the boxes out: functions from top to bottom in the order of their components, the other columns beside
// what they are connected with.
func (d *drawing) picture(p *Program, number int) *picture {
	y := pictureTop
	for _, n := range d.columns[functionColumn] {
		n.Y, n.Height = y, nodeHeight
		y += nodeHeight + nodeGap
	}
	d.beside(componentColumn, func(n *pictureNode) []*pictureLine { return n.out },
		func(l *pictureLine) *pictureNode { return l.to })
	d.beside(programColumn, func(n *pictureNode) []*pictureLine { return n.out },
		func(l *pictureLine) *pictureNode { return l.to })
	for _, column := range []int{callColumn, ruleColumn} {
		d.beside(column, func(n *pictureNode) []*pictureLine { return n.in },
			func(l *pictureLine) *pictureNode { return l.from })
	}
	pic := &picture{ID: fmt.Sprintf("picture-%d", number), Title: Printable(p.title()), Width: pictureWidth}
	for i, text := range []string{"program", "component", "function", "calls", "restriction"} {
		pic.Heads = append(pic.Heads, pictureHead{pictureColumns[i].x, text})
	}
	for _, column := range d.columns {
		for _, n := range column {
			n.FirstY, n.SecondY = 17, 33
			if n.Second == "" {
				n.FirstY = 25
			}
			pic.Height = max(pic.Height, n.Y+n.Height+4)
			pic.Nodes = append(pic.Nodes, n)
		}
	}
	for _, n := range pic.Nodes {
		fan(n.out, func(l *pictureLine) int { return l.to.middle() })
		fan(n.in, func(l *pictureLine) int { return l.from.middle() })
	}
	for _, l := range d.order {
		l.Width = min(3+l.count, 12)
		x1, x2 := l.from.X+l.from.Width, l.to.X
		y1, y2 := l.from.anchor(l.from.out, l), l.to.anchor(l.to.in, l)
		mid := (x1 + x2) / 2
		l.Path = fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, mid, y1, mid, y2, x2, y2)
	}
	pic.Lines = d.order
	pic.Description = fmt.Sprintf("%s over %s in %s to %s.", plural(len(d.columns[componentColumn]), "component"),
		plural(len(d.columns[functionColumn]), "function"), "calls of "+
			plural(len(d.columns[callColumn]), "system function"), plural(len(d.columns[ruleColumn]), "restriction"))
	return pic
}

// beside places the boxes of a column at the heights of their neighbours, in that order and without overlap.
func (d *drawing) beside(column int, lines func(*pictureNode) []*pictureLine, other func(*pictureLine) *pictureNode) {
	nodes := d.columns[column]
	wish := map[*pictureNode]int{}
	for _, n := range nodes {
		sum, weight := 0, 0
		for _, l := range lines(n) {
			sum += other(l).middle() * l.count
			weight += l.count
		}
		wish[n] = 1 << 20 // no neighbour: below
		if weight > 0 {
			wish[n] = sum / weight
		}
		n.Height = nodeHeight
	}
	slices.SortStableFunc(nodes, func(a, b *pictureNode) int { return cmp.Compare(wish[a], wish[b]) })
	y := pictureTop
	for _, n := range nodes {
		n.Y = y
		if w := wish[n]; w < 1<<20 {
			n.Y = max(y, w-n.Height/2)
		}
		y = n.Y + n.Height + nodeGap
	}
}

// fan orders the lines on one side of a box so that they do not cross there.
func fan(lines []*pictureLine, at func(*pictureLine) int) {
	slices.SortStableFunc(lines, func(a, b *pictureLine) int { return cmp.Compare(at(a), at(b)) })
}

// anchor is the height at which a line meets the box.
func (n *pictureNode) anchor(lines []*pictureLine, l *pictureLine) int {
	i := slices.Index(lines, l)
	return n.Y + (2*i+1)*n.Height/(2*len(lines))
}

// shorten cuts the middle out of a text that has no room, for both ends of a name tell something.
func shorten(s string, chars int) string {
	if utf8.RuneCountInString(s) <= chars {
		return s
	}
	runes := []rune(s)
	head := chars * 3 / 5
	return string(runes[:head]) + "…" + string(runes[len(runes)-(chars-head-1):])
}

// heat grades a count for the colour of a cell: 0 for none, 4 for a hundred and more.
func heat(n int) int {
	switch {
	case n == 0:
		return 0
	case n < 3:
		return 1
	case n < 10:
		return 2
	case n < 100:
		return 3
	}
	return 4
}
