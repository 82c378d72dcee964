//go:build !linux || !amd64

package vdso

import "time"

// Process is a process whose clocks can be skewed: none on this platform.
type Process struct{}

// Able returns ErrUnsupported.
func Able() error { return ErrUnsupported }

// Attach returns ErrUnsupported.
func Attach(pid int) (*Process, error) { return nil, ErrUnsupported }

// Restore returns ErrUnsupported.
func Restore(pid int) error { return ErrUnsupported }

// Skewed returns ErrUnsupported.
func Skewed(pid int) (bool, error) { return false, ErrUnsupported }

// AwaitEnd does nothing: no process is ever stopped here.
func AwaitEnd(pid int) error { return nil }

// Set returns ErrUnsupported.
func (p *Process) Set(s Skew) error { return ErrUnsupported }

// SetAt returns ErrUnsupported.
func (p *Process) SetAt(s Skew, at time.Duration) error { return ErrUnsupported }

// Heal returns ErrUnsupported.
func (p *Process) Heal() error { return ErrUnsupported }

// Read returns ErrUnsupported.
func (p *Process) Read() (Reading, error) { return Reading{}, ErrUnsupported }

// Close does nothing.
func (p *Process) Close() error { return nil }

// Now returns ErrUnsupported.
func Now() (time.Duration, error) { return 0, ErrUnsupported }

// Watch is a look at the clocks of one process: of none on this platform.
type Watch struct{}

// NewWatch returns ErrUnsupported.
func NewWatch(pid int) (*Watch, error) { return nil, ErrUnsupported }

// Look returns ErrUnsupported.
func (w *Watch) Look() (View, error) { return View{}, ErrUnsupported }

// Close does nothing.
func (w *Watch) Close() error { return nil }
