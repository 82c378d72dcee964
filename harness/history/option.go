package history

// Option is something that a workload or a system under test can be told with --set NAME=VALUE. Test.Options holds what it was told.
type Option struct {
	Name    string
	Usual   string   // what holds if it is not given
	Allowed []string // the values allowed; empty: any, which the one who takes it checks
	Doc     string   // a phrase for `rift list`
}
