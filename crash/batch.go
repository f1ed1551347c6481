package crash

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"portcullis.dev/finding"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// large is the size from which inputs are read one at a time, so that memory stays bounded whatever is in a folder.
const large = 4 << 20

// input is one file to be read.
type input struct {
	path     string
	fromTree bool // found in a folder, not named by the user
	err      error
}

// ExplainFiles reads and explains files, folders with all that is in them, and standard input where a path is "-". The
// answer is in the order of the paths, and of the names inside a folder. Symbols may be nil.
func ExplainFiles(paths []string, stdin io.Reader, symbols *Symbols) *finding.Report {
	inputs := list(paths)
	answers := make([]finding.Report, len(inputs))
	var one sync.Mutex // held while a large input is read
	var next sync.Mutex
	at := 0
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), max(len(inputs), 1)) {
		wg.Go(func() {
			var buf []byte
			for {
				next.Lock()
				i := at
				at++
				next.Unlock()
				if i >= len(inputs) {
					return
				}
				answers[i] = explainInput(&inputs[i], stdin, symbols, &one, &buf)
			}
		})
	}
	wg.Wait()
	out := &finding.Report{Moment: finding.MomentExplain}
	for i := range answers {
		out.Add(&answers[i])
	}
	return out
}

// list expands folders, in the order of their names.
func list(paths []string) []input {
	var out []input
	for _, path := range paths {
		st, err := os.Stat(path)
		if path == Stdin || err != nil || !st.IsDir() {
			out = append(out, input{path: path})
			continue
		}
		before := len(out)
		_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error { // every error is kept with its path
			switch {
			case err != nil:
				out = append(out, input{path: p, fromTree: true, err: err})
				if d != nil && d.IsDir() {
					return fs.SkipDir
				}
			case d.Type().IsRegular() && d.Name() != ".DS_Store":
				out = append(out, input{path: p, fromTree: true})
			}
			return nil
		})
		if len(out) == before {
			out = append(out, input{path: path, err: errors.New("the folder holds no files")})
		}
	}
	return out
}

func explainInput(in *input, stdin io.Reader, symbols *Symbols, one *sync.Mutex, buf *[]byte) finding.Report {
	rep := finding.Report{Summary: finding.Summary{Files: 1}}
	fail := func(err error) finding.Report {
		rep.Unread = append(rep.Unread, finding.Unread{Path: in.path, Reason: reason(err)})
		return rep
	}
	if in.err != nil {
		return fail(in.err)
	}
	name, src := in.path, stdin
	if in.path == Stdin {
		name = "standard input"
		one.Lock()
		defer one.Unlock()
	} else {
		// Without waiting: a pipe that nobody writes to is empty.
		f, err := os.OpenFile(in.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return fail(err)
		}
		defer f.Close()
		src = f
		st, err := f.Stat()
		if err != nil {
			return fail(err)
		}
		if st.Mode()&fs.ModeDevice != 0 {
			return fail(errors.New("a device: not a file"))
		}
		if st.Mode().IsRegular() && st.Size() < large {
			if int64(cap(*buf)) < st.Size()+1 {
				*buf = make([]byte, st.Size()+st.Size()/4+1024)
			}
			n, err := io.ReadFull(f, (*buf)[:st.Size()])
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
				return fail(err)
			}
			return explainResult(rep, in, name, readBytes(name, (*buf)[:n]), symbols)
		}
		one.Lock()
		defer one.Unlock()
	}
	return explainResult(rep, in, name, Read(name, src), symbols)
}

func explainResult(rep finding.Report, in *input, name string, res Result, symbols *Symbols) finding.Report {
	rep.Summary.Bytes = res.Bytes
	rep.Summary.Images = len(res.Reports)
	rep.Unread = append(rep.Unread, res.Unread...)
	if in.fromTree && len(res.Reports) == 0 && len(res.Unread) == 1 && !reportName(in.path) && nothingFound(res.Unread[0].Reason) {
		rep.Unread = nil // something else that lies in the folder
		rep.Notes = append(rep.Notes, finding.Note{Path: name, Message: "holds no crash report"})
	}
	for _, r := range res.Reports {
		r.symbols = symbols
		findings, notes := Explain(r, name)
		if len(res.Reports) > 1 {
			for i := range findings {
				findings[i].Where.Member = r.member()
			}
			for i := range notes {
				notes[i].Member = r.member()
			}
		}
		rep.Findings = append(rep.Findings, findings...)
		rep.Notes = append(rep.Notes, notes...)
	}
	return rep
}

// reportName reports whether a file is named as crash reports and logs are.
func reportName(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".ips", ".crash", ".json", ".txt", ".log", ".synced", ".beta", ".panic", ".spin", ".diag":
		return true
	}
	return false
}

// reason strips the path from an error, which stands beside it.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Sprintf("cannot %s: %v", p.Op, p.Err)
	}
	return err.Error()
}
