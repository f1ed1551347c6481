package check

import (
	"context"
	"fmt"

	"portcullis.dev/finding"
	"portcullis.dev/macho"
	"portcullis.dev/macho/container"
)

// addLines looks up the source lines of hits in the debug symbols (dSYM) that were met beside the images. Only files
// that are needed are opened again.
func (c *checker) addLines(ctx context.Context) {
	needed := map[place]map[macho.UUID]*module{}
	for _, m := range c.modules {
		at, ok := c.symbols[m.uuid]
		if !ok || m.uuid == (macho.UUID{}) || len(m.hits) == 0 || m.hits[0].line != 0 {
			continue
		}
		if needed[at] == nil {
			needed[at] = map[macho.UUID]*module{}
		}
		needed[at][m.uuid] = m
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
				m := modules[img.UUID]
				if m == nil || img.Type != macho.DSYM {
					continue
				}
				for i := range m.hits {
					m.hits[i].file, m.hits[i].line, _ = img.Line(m.hits[i].site)
				}
			}
			return nil
		}
		// What cannot be read was listed when the file was met first.
		_, _ = container.Walk(ctx, at.path, options, visit, func(finding.Unread) {})
	}
}
