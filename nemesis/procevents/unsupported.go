//go:build !linux

package procevents

import "context"

// Listener hears of nothing on this platform.
type Listener struct{}

// Listen returns ErrUnavailable.
func Listen() (*Listener, error) { return nil, ErrUnavailable }

// Next returns ErrUnavailable.
func (l *Listener) Next(context.Context) (Exec, error) { return Exec{}, ErrUnavailable }

// Close does nothing.
func (l *Listener) Close() error { return nil }
