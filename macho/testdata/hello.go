// Command hello is built for darwin by the tests.
package main

import "fmt"

//go:noinline
func greet(name string) string { return "hello, " + name }

func main() { fmt.Println(greet("world")) }
