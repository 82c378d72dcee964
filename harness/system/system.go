// Package system holds the systems that Rift can test: one file each, saying how a node is started and how a client
// talks to it.
//
// The one idea behind it is that a client belongs to the system and not to the workload, so that every workload
// whose functions a system's client can do runs on it. To add a system, write one file and one line in All.
package system

import "rift/harness"

// All are the systems under test, in the order in which they are listed. bin is the path of a program to be tested in
// place of the system's usual one; empty for the usual one.
var All = []func(bin string) harness.System{
	func(bin string) harness.System { return Reference{Bin: bin} },
}
