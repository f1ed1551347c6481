package launchd

import "time"

// Next returns the first minute after t that the date names; the zero time if there is none, as on 30 February. Where
// both a day of the month and a day of the week are given, either will do.
func (c Calendar) Next(t time.Time) time.Time {
	from := t.Truncate(time.Minute).Add(time.Minute)
	year, month, day := from.Date()
	for i := range 366 * 9 { // a leap day may be eight years away
		d := time.Date(year, month, day+i, 0, 0, 0, 0, t.Location())
		if !c.onDay(d) {
			continue
		}
		for h := range 24 {
			if c.Hour >= 0 && c.Hour != h {
				continue
			}
			for m := range 60 {
				if c.Minute >= 0 && c.Minute != m {
					continue
				}
				at := time.Date(d.Year(), d.Month(), d.Day(), h, m, 0, 0, t.Location())
				if !at.Before(from) {
					return at
				}
			}
		}
	}
	return time.Time{}
}

func (c Calendar) onDay(d time.Time) bool {
	if c.Month > 0 && time.Month(c.Month) != d.Month() {
		return false
	}
	day, weekday := c.Day > 0 && c.Day == d.Day(), c.Weekday >= 0 && time.Weekday(c.Weekday) == d.Weekday()
	switch {
	case c.Day > 0 && c.Weekday >= 0:
		return day || weekday
	case c.Day > 0:
		return day
	case c.Weekday >= 0:
		return weekday
	}
	return true
}
