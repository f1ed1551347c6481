package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"portcullis.dev/kernel/lsmp"
	session "portcullis.dev/run"
	"portcullis.dev/trap"
)

func newLsmpCommand() *cobra.Command {
	var kernel, format string
	var pids []int32
	cmd := &cobra.Command{
		Use:   "lsmp [--kernel SOCKET] [-p PID]... [--format text|json|dot]",
		Short: "list the ports of the tasks of a running kernel, and who holds rights to them",
		Long: `Lsmp lists the tasks of a kernel that portcullis run or portcullis kernel runs: every name they have, what right it
denotes, what the port is, who else holds rights to it, and how many messages wait in it.

Without --kernel it is the kernel of the variable PORTCULLIS_KERNEL, or else the only one that runs here in a private
folder. It answers root, and the user that it runs as.

In the text, a row that begins with + says who else has rights to the port of the row above. Flags: I immovable, G
guarded, S strictly. Requests: D dead name, s send possible, N no senders, P port destroyed.

Exit status: 0, 2 for wrong usage, 3 where no kernel answers.`,
		Example: `  portcullis lsmp
  portcullis lsmp --kernel /tmp/kernel -p 4711
  portcullis lsmp --format dot | dot -Tsvg > ports.svg`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			socket, err := kernelSocket(kernel)
			if err != nil {
				return err
			}
			l, err := session.List(socket)
			if err != nil {
				return err
			}
			for _, pid := range pids {
				if !slices.ContainsFunc(l.Tasks, func(t lsmp.Task) bool { return t.PID == pid }) {
					return fmt.Errorf("process %d is no task of the kernel at %s", pid, socket)
				}
			}
			if len(pids) > 0 {
				l = l.Select(pids...)
			}
			switch format {
			case "json":
				return l.WriteJSON(cmd.OutOrStdout())
			case "dot":
				return l.WriteDOT(cmd.OutOrStdout())
			}
			return l.WriteText(cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&kernel, "kernel", "", "socket of the kernel")
	flags.Int32SliceVarP(&pids, "pid", "p", nil, "only this process; may be given more than once")
	addFormatFlag(cmd, &format, "text", "json", "dot")
	return cmd
}

// kernelSocket finds the kernel that is meant.
func kernelSocket(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if s := os.Getenv(trap.Environment); s != "" {
		return s, nil
	}
	switch all := session.Sockets(); len(all) {
	case 0:
		return "", fmt.Errorf("no kernel runs here: name its socket with --kernel")
	case 1:
		return all[0], nil
	default:
		return "", fmt.Errorf("%d kernels run here, name one with --kernel: %s", len(all), strings.Join(all, ", "))
	}
}
