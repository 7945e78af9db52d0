package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the release; builds of a commit add its revision. Set by the linker
// where a release is built (-X main.version=1.2.3), and by nobody after that.
var version = "0.1.0-dev"

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(std stdio) error {
	_, err := fmt.Fprintln(std.out, versionText())
	return err
}

func versionText() string {
	rev := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				rev = " " + s.Value[:12]
			}
		}
	}
	return fmt.Sprintf("tarn %s%s %s %s/%s", version, rev, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
