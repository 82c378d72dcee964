package sim

import (
	"context"

	"github.com/tetratelabs/wazero/api"
)

// ExportLeak gives a program a call that answers with a number from outside its world.
func ExportLeak(ctx context.Context, p *Program, number func() uint64) error {
	b := p.runtime.NewHostModuleBuilder("leak")
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) {
		stack[0] = number()
	}), nil, []api.ValueType{api.ValueTypeI64}).Export("number")
	_, err := b.Instantiate(ctx)
	return err
}
