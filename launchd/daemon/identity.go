//go:build linux

package daemon

import (
	"os"

	"portcullis.dev/entitlement"
	"portcullis.dev/plist"
	"portcullis.dev/rules"
)

// claims are the entitlements of an executable, from the file beside it.
type claims struct {
	modified int64
	level    rules.Level
	values   map[string]any
}

// level returns the level that a program's entitlements give, and what they are. Linux programs have no signature;
// their entitlements are a file beside them, which counts if it belongs to root or the user of this launchd and nobody else
// can write to it. So a program of another user cannot entitle itself.
func (d *Daemon) level(program string) (rules.Level, map[string]any) {
	path := program + entitlement.SidecarSuffix
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() || trusted(path, st) != nil {
		return rules.LevelNone, nil
	}
	if c, ok := d.ids.Load(path); ok && c.(*claims).modified == st.ModTime().UnixNano() {
		return c.(*claims).level, c.(*claims).values
	}
	c := &claims{modified: st.ModTime().UnixNano()}
	if set, err := entitlement.Sidecar(program); err == nil && set != nil {
		c.level = entitlement.Decide(entitlement.Inputs{Plist: set}).Level
		if b, err := os.ReadFile(path); err == nil {
			plist.Unmarshal(b, &c.values)
		}
	} else if err != nil {
		d.log("%v", err)
	}
	d.ids.Store(path, c)
	return c.level, c.values
}

// granted are the entitlements that are true, as the restrictions ask for them.
func granted(values map[string]any) map[string]bool {
	m := make(map[string]bool)
	for k, v := range values {
		if b, ok := v.(bool); ok && b {
			m[k] = true
		}
	}
	return m
}
