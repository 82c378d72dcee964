package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
)

// Program is a program for WebAssembly (GOOS=wasip1 GOARCH=wasm) that simulated nodes run. Worlds in several goroutines may share it.
type Program struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	memories memories
}

// LoadProgram compiles a program, which takes some seconds, unless it stands in the cache: a folder that keeps what was compiled, "" for none.
func LoadProgram(ctx context.Context, wasm []byte, cache string) (*Program, error) {
	config := wazero.NewRuntimeConfig()
	if cache != "" {
		c, err := wazero.NewCompilationCacheWithDir(cache)
		if err != nil {
			return nil, fmt.Errorf("open the cache of compiled programs: %w", err)
		}
		config = config.WithCompilationCache(c)
	}
	ctx = experimental.WithCompilationWorkers(ctx, 2)
	p := &Program{runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	err := exportCalls(ctx, p.runtime)
	if err == nil {
		p.compiled, err = p.runtime.CompileModule(ctx, wasm)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("load the nodes' program for the simulation: %w", err), p.runtime.Close(ctx))
	}
	return p, nil
}

// Close lets go of the program.
func (p *Program) Close(ctx context.Context) error { return p.runtime.Close(ctx) }
