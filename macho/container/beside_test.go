package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"portcullis.dev/finding"
)

// TestBeside visits the files of a folder side by side: two meet, each has its number in the order of the walk, and one
// that is cut off meanwhile counts as unread.
func TestBeside(t *testing.T) {
	dir := t.TempDir()
	page := os.Getpagesize()
	for i := range 6 {
		write(t, dir, fmt.Sprint("file", i), []byte(strings.Repeat("x", 2*page)))
	}
	write(t, dir, "tool.tar", makeTar(t, member{"a", "in an archive"}))
	var mu sync.Mutex
	var met sync.WaitGroup
	met.Add(2)
	names, sum := map[int]string{}, 0
	visit := func(i Item) error {
		mu.Lock()
		names[i.Number] = i.Name()[len(dir)+1:]
		mu.Unlock()
		switch i.Number {
		case 2, 3:
			met.Done()
			met.Wait()
		case 4:
			if err := os.Truncate(i.Path, 100); err != nil {
				return err
			}
			sum += int(i.Data[page+1])
		}
		return nil
	}
	var unread []string
	stats, err := Walk(context.Background(), dir, Options{Beside: 3}, visit, func(u finding.Unread) {
		unread = append(unread, u.Path+": "+u.Reason)
	})
	if err != nil || stats.Visited != 7 {
		t.Errorf("%d files visited, %v", stats.Visited, err)
	}
	if len(unread) != 1 || !strings.Contains(unread[0], "file4: the file became shorter") {
		t.Errorf("unread: %q", unread)
	}
	for i := range 6 {
		if names[i] != fmt.Sprint("file", i) {
			t.Errorf("number %d is %q", i, names[i])
		}
	}
	if names[6] != "tool.tar!/a" {
		t.Errorf("number 6 is %q", names[6])
	}
}

// TestBesideFails lets one of the visits fail: the walk ends with its error, after the others.
func TestBesideFails(t *testing.T) {
	dir := t.TempDir()
	for i := range 100 {
		write(t, dir, fmt.Sprintf("file%02d", i), []byte("something"))
	}
	failed := errors.New("enough")
	var mu sync.Mutex
	var visited []int
	stats, err := Walk(context.Background(), dir, Options{Beside: 2}, func(i Item) error {
		mu.Lock()
		defer mu.Unlock()
		visited = append(visited, i.Number)
		if i.Number == 5 {
			return failed
		}
		return nil
	}, func(finding.Unread) {})
	if !errors.Is(err, failed) || !slices.Contains(visited, 5) || len(visited) == 100 || stats.Visited == 100 {
		t.Errorf("%d of 100 visited, %d counted, error %v", len(visited), stats.Visited, err)
	}
}
