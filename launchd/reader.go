package launchd

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// reader collects what is wrong with a job file.
type reader struct {
	errs     []error
	warnings []string
}

func (r *reader) fail(format string, a ...any) { r.errs = append(r.errs, fmt.Errorf(format, a...)) }

// dictionary is a dictionary of the file that is being read key by key.
type dictionary struct {
	r    *reader
	m    map[string]any
	path string // of the keys, with a dot at its end
	seen map[string]bool
}

func (r *reader) in(m map[string]any, path string) *dictionary {
	return &dictionary{r, m, path, make(map[string]bool)}
}

func (d *dictionary) take(key string) (any, bool) {
	d.seen[key] = true
	v, ok := d.m[key]
	return v, ok
}

// rest warns of the keys that nobody took, except those that are known and mean nothing.
func (d *dictionary) rest(ignored []string) {
	for k := range d.m {
		if !d.seen[k] && !slices.Contains(ignored, k) {
			d.r.warnings = append(d.r.warnings, fmt.Sprintf("unknown key %s%s", d.path, k))
		}
	}
}

func (d *dictionary) wrong(key, want string, got any) {
	d.r.fail("%s%s: want %s, not %s", d.path, key, want, kindOf(got))
}

func kindOf(v any) string {
	switch v.(type) {
	case bool:
		return "true or false"
	case string:
		return "text"
	case uint64, int64:
		return "a number"
	case float64, float32:
		return "a fraction"
	case []any:
		return "an array"
	case map[string]any:
		return "a dictionary"
	case []byte:
		return "data"
	case time.Time:
		return "a date"
	}
	return fmt.Sprintf("a %T", v)
}

func (d *dictionary) text(key string) string {
	v, ok := d.take(key)
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		d.wrong(key, "text", v)
	}
	return s
}

func (d *dictionary) choice(key, otherwise string, of ...string) string {
	s := d.text(key)
	if s == "" {
		return otherwise
	}
	if !slices.Contains(of, s) {
		d.r.fail("%s%s: %q is none of %q", d.path, key, s, of)
	}
	return s
}

func (d *dictionary) texts(key string) []string {
	v, ok := d.take(key)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		d.wrong(key, "an array of text", v)
		return nil
	}
	var all []string
	for i, e := range list {
		s, ok := e.(string)
		if !ok {
			d.wrong(fmt.Sprintf("%s[%d]", key, i), "text", e)
		}
		all = append(all, s)
	}
	return all
}

func (d *dictionary) textOrTexts(key string) []string {
	if s, ok := d.m[key].(string); ok {
		d.seen[key] = true
		return []string{s}
	}
	return d.texts(key)
}

func (d *dictionary) dict(key string) map[string]any {
	v, ok := d.take(key)
	if !ok {
		return nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		d.wrong(key, "a dictionary", v)
	}
	return m
}

func (d *dictionary) textMap(key string) map[string]string {
	m := d.dict(key)
	if m == nil {
		return nil
	}
	all := make(map[string]string, len(m))
	for k, v := range m {
		s, ok := v.(string)
		if !ok {
			d.wrong(key+"."+k, "text", v)
		}
		all[k] = s
	}
	return all
}

func (d *dictionary) flagMap(key string) map[string]bool {
	m := d.dict(key)
	if m == nil {
		return nil
	}
	all := make(map[string]bool, len(m))
	for k, v := range m {
		b, ok := v.(bool)
		if !ok {
			d.wrong(key+"."+k, "true or false", v)
		}
		all[k] = b
	}
	return all
}

// maybe is a flag that may be missing. Numbers stand for flags in old files.
func (d *dictionary) maybe(key string) *bool {
	v, ok := d.take(key)
	if !ok {
		return nil
	}
	var b bool
	switch v := v.(type) {
	case bool:
		b = v
	case uint64:
		b = v != 0
	default:
		d.wrong(key, "true or false", v)
	}
	return &b
}

func (d *dictionary) flag(key string, otherwise bool) bool {
	if b := d.maybe(key); b != nil {
		return *b
	}
	return otherwise
}

func (d *dictionary) number(key string, otherwise, least, most int64) int64 {
	v, ok := d.take(key)
	if !ok {
		return otherwise
	}
	var n int64
	switch v := v.(type) {
	case uint64:
		n = int64(min(v, 1<<63-1))
	case int64:
		n = v
	default:
		d.wrong(key, "a number", v)
		return otherwise
	}
	if n < least || n > most {
		d.r.fail("%s%s: %d is not between %d and %d", d.path, key, n, least, most)
	}
	return n
}

func (d *dictionary) seconds(key string, otherwise int64) time.Duration {
	return time.Duration(d.number(key, otherwise, 0, 1<<31)) * time.Second
}

// umask is a number, or text with a number in octal.
func (d *dictionary) umask(key string) int {
	s, ok := d.m[key].(string)
	if !ok {
		return int(d.number(key, -1, 0, 0o777))
	}
	d.seen[key] = true
	n, err := strconv.ParseUint(s, 0, 16)
	if s != "" && s[0] != '0' {
		n, err = strconv.ParseUint(s, 8, 16)
	}
	if err != nil || n > 0o777 {
		d.r.fail("%s%s: %q is no mode", d.path, key, s)
	}
	return int(n)
}

func sorted(m map[string]any) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
