package mig_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"portcullis.dev/mig"
	"portcullis.dev/mig/cgen"
	"portcullis.dev/mig/gogen"
)

var block = regexp.MustCompile("(?s)```(?:defs|go|c|text) ([a-z.]+)\n(.*?)```")

// TestExample compiles and runs the worked example of docs/mig.md, and compares what it prints.
func TestExample(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "mig.md"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, m := range block.FindAllStringSubmatch(string(page), -1) {
		files[m[1]] = m[2]
	}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("echo.defs", files["echo.defs"])
	i, errs := mig.Compile(filepath.Join(dir, "echo.defs"), mig.Options{})
	if len(errs.All) > 0 {
		t.Fatal(errs.All[0].String())
	}
	pkg, src, err := gogen.Generate(i)
	if err != nil {
		t.Fatal(err)
	}
	write(pkg+"/"+pkg+".go", string(src))
	write("main.go", files["main.go"])
	write("go.mod", "module example.org/echo\n\ngo 1.26.0\n\nrequire portcullis.dev v0.0.0\n\n"+
		"replace portcullis.dev => "+root+"\n")
	cmd := exec.Command("go", "run", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != files["output"] {
		t.Errorf("the example prints %q, the page says %q", out, files["output"])
	}
	cc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no C compiler is installed: the server in C is not compiled")
	}
	stubs, err := cgen.Generate(i)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range stubs {
		write("stubs/"+f.Name, string(f.Data))
	}
	write("stubs/server.c", files["server.c"])
	cmd = exec.Command(cc, "-std=c11", "-Wall", "-Wextra", "-Werror", "-c", "server.c", "echoServer.c", "echoUser.c")
	cmd.Dir = filepath.Join(dir, "stubs")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
