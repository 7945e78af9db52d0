package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the release; builds of a commit add its revision. Set by the linker
// where a release is built (-X main.version=1.2.3), and by nobody after that.
var version = "0.1.0-dev"

type versionCmd struct{ outputFlag }

// Run prints the version.
func (c *versionCmd) Run(std stdio) error {
	return c.sayFields(std, []field{
		{"version", version}, {"revision", revision()}, {"go", runtime.Version()}, {"platform", runtime.GOOS + "/" + runtime.GOARCH},
	}, versionText())
}

// revision is the commit that the program was built of, as far as it is known.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return s.Value[:12]
			}
		}
	}
	return ""
}

func versionText() string {
	rev := revision()
	if rev != "" {
		rev = " " + rev
	}
	return fmt.Sprintf("tarn %s%s %s %s/%s", version, rev, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
