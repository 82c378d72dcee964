// Package system holds the systems that Rift can test: one file each, saying how a node is started and how a client
// talks to it.
//
// The one idea behind it is that a client belongs to the system and not to the workload, so that every workload
// whose functions a system's client can do runs on it. To add a system, write one file and one line in All.
package system

import (
	"rift/harness"
	"rift/harness/history"
)

// All are the systems under test, in the order in which they are listed. bin is the path of a program to be tested in
// place of the system's usual one; empty for the usual one.
var All = []func(bin string) harness.System{
	func(bin string) harness.System { return Reference{Bin: bin} },
	func(bin string) harness.System { return Etcd{Bin: bin} },
	func(bin string) harness.System { return Redis{Bin: bin} },
}

// optionOf is what a test tells a system, or what is usual.
func optionOf(s harness.Optioned, t history.Test, name string) string {
	if value, told := t.Options[name]; told {
		return value
	}
	for _, o := range s.Options() {
		if o.Name == name {
			return o.Usual
		}
	}
	return ""
}
