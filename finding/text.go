package finding

// TextOptions says how to render a report for people.
type TextOptions struct {
	Color bool // use terminal colours
	Width int  // columns to wrap sentences at; 0 stands for 100
}
