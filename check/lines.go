package check

import (
	"context"
	"fmt"

	"portcullis.dev/finding"
	"portcullis.dev/macho"
	"portcullis.dev/macho/container"
)

// addLines looks up the source lines of hits in the debug symbols (dSYM) that were met among the files or are in the
// paths given for them, or that lie beside an image on disk. Only files that are needed are opened again.
func (c *checker) addLines(ctx context.Context) {
	var without []*module
	for _, m := range c.modules {
		if m.uuid != (macho.UUID{}) && len(m.hits) > 0 && m.hits[0].line == 0 {
			without = append(without, m)
		}
	}
	if len(without) > 0 {
		for _, p := range c.opts.Symbols {
			c.findSymbols(ctx, p)
		}
	}
	needed := map[place]map[macho.UUID][]*module{}
	for _, m := range without {
		at, ok := c.symbols[m.uuid]
		if !ok {
			m.linesBeside()
			continue
		}
		if needed[at] == nil {
			needed[at] = map[macho.UUID][]*module{}
		}
		needed[at][m.uuid] = append(needed[at][m.uuid], m)
	}
	for at, modules := range needed {
		options := container.Options{Limits: c.opts.Limits, Want: func(name string, head []byte) bool {
			return macho.Recognized(head) && name == container.Item{Path: at.path, Member: at.member}.Name()
		}}
		visit := func(it container.Item) error {
			file, err := macho.Parse(it.Data)
			if err != nil {
				return fmt.Errorf("%s: %w", it.Name(), err)
			}
			for _, img := range file.Images {
				for _, m := range modules[img.UUID] {
					m.lines(img)
				}
			}
			return nil
		}
		// What cannot be read was listed when the file was met first.
		_, _ = container.Walk(ctx, at.path, options, visit, func(finding.Unread) {})
	}
}

// findSymbols notes where debug symbols are below a path. An image that was not stripped will do as well as a dSYM.
func (c *checker) findSymbols(ctx context.Context, p string) {
	found := false
	options := container.Options{Limits: c.opts.Limits, Want: func(_ string, head []byte) bool { return macho.Recognized(head) }}
	visit := func(it container.Item) error {
		file, err := macho.Parse(it.Data)
		if err != nil {
			return fmt.Errorf("%s: %w", it.Name(), err)
		}
		for _, img := range file.Images {
			if img.UUID == (macho.UUID{}) {
				continue
			}
			found = true
			if _, ok := c.symbols[img.UUID]; !ok || img.Type == macho.DSYM {
				c.symbols[img.UUID] = place{it.Path, it.Member}
			}
		}
		return nil
	}
	if _, err := container.Walk(ctx, p, options, visit, c.unreadable); err != nil && ctx.Err() == nil {
		c.unreadable(finding.Unread{Path: p, Reason: err.Error()})
	} else if !found {
		c.report.Notes = append(c.report.Notes, finding.Note{Path: p, Message: "holds no debug symbols"})
	}
}

// linesBeside looks for debug symbols where Xcode puts them, beside the image or the bundle around it.
func (m *module) linesBeside() {
	if m.member != "" {
		return // inside an archive; whatever is there was met
	}
	file, img, err := macho.OpenDSYM(m.path, m.uuid)
	if err != nil {
		return // there are none, as a rule
	}
	defer file.Close()
	var group crew
	group.Go(func() { m.lines(img) })
	defer func() {
		// The file was cut off while it was read: then there are no lines either.
		if r := recover(); r != nil {
			if _, ok := r.(interface{ Addr() uintptr }); !ok {
				panic(r)
			}
		}
	}()
	group.Wait()
}

// lines takes the lines of all hits from debug symbols, and the names of functions that the image has none for.
func (m *module) lines(symbols *macho.Image) {
	for i := range m.hits {
		h := &m.hits[i]
		h.lookUp(symbols)
		if name, _, ok := symbols.SymbolName(h.site); ok && h.function == "" {
			h.function, h.start = name, 0
		}
	}
}

// lookUp takes what the debug information of an image tells about the place of a hit.
func (h *hit) lookUp(img *macho.Image) {
	var ok bool
	if h.file, h.line, ok = img.Line(h.site); ok {
		h.inlined = img.Inlined(h.site)
	}
}
