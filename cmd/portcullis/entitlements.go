package main

import (
	"fmt"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"portcullis.dev/entitlement"
	"portcullis.dev/rules"
)

func newEntitlementsCommand() *cobra.Command {
	var format, system string
	cmd := &cobra.Command{
		Use:   "entitlements PATH...",
		Short: "say which level a program's entitlements give, and why",
		Long: `Entitlements reads what programs claim and says which level of the restrictions that gives them, which line
of the kernel's decision list decided, which restrictions kill at that level, and what is wrong with the claims, with
the property list lines to write instead.

A PATH is a Mach-O file (each slice of a universal file is told), a Linux program (see portcullis sign), a bundle or
any other folder, an archive (.ipa, .zip, .tgz), an entitlements file (.entitlements, .xcent, .plist), or a provisioning
profile (.mobileprovision, .provisionprofile).

Exit status: 0 where all programs start as they claim, 1 where the kernel refuses one or the advice has errors, 2 for
wrong usage, 3 where something could not be read.`,
		Example: `  # an entitlements file, before signing
  portcullis entitlements MyApp.entitlements

  # a signed app, judged as macOS 26.0 does, which does not know the -string key
  portcullis entitlements --os "macOS 26.0" MyApp.app

  # the level alone, for a script
  portcullis entitlements --format json MyApp.app | jq -r '.programs[].level'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var judged rules.OS
			if system != "" {
				var ok bool
				if judged, ok = rules.ParseOS(system); !ok {
					return usageError(`write it as "macOS 26.4" or "iOS 26.0"`, "--os %s: unknown system", system)
				}
			}
			return entitlements(cmd, args, format, judged)
		},
	}
	addFormatFlag(cmd, &format, "text", "json")
	cmd.Flags().StringVar(&system, "os", "", `judge as this system does ("macOS 26.4"); default: the newest kernel`)
	return cmd
}

func entitlements(cmd *cobra.Command, paths []string, format string, judged rules.OS) error {
	var reports []entitlement.Report
	code := exitOK
	for _, path := range paths {
		r, err := entitlement.Inspect(cmd.Context(), path, judged)
		if err != nil {
			return err
		}
		reports = append(reports, r)
		if r.Failed() {
			code = max(code, exitFindings)
		}
		if len(r.Unread) > 0 {
			code = exitUnread
		}
		if len(r.Programs) == 0 && len(r.Unread) == 0 {
			message(cmd.ErrOrStderr(), "warning", fmt.Sprintf("%s: no program and no entitlements file in it", path))
		}
	}
	out := cmd.OutOrStdout()
	var err error
	if format == "json" {
		err = entitlement.WriteJSON(out, reports...)
	} else {
		var style entitlement.Style
		if useColor(cmd, out) {
			style = entitlementStyle()
		}
		style.Width = textWidth(out)
		err = entitlement.WriteText(out, style, reports...)
	}
	if err != nil {
		return err
	}
	return exitWith(code)
}

// entitlementStyle returns the colours of the text form on a terminal.
func entitlementStyle() entitlement.Style {
	colour := func(s lipgloss.Style) func(string) string { return func(t string) string { return s.Render(t) } }
	return entitlement.Style{
		Heading: colour(lipgloss.NewStyle().Bold(true)),
		Level:   colour(lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Cyan)),
		Error:   colour(lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red)),
		Warning: colour(lipgloss.NewStyle().Foreground(lipgloss.Yellow)),
		Dim:     colour(lipgloss.NewStyle().Faint(true)),
	}
}
