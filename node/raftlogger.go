package node

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// A raftLogger lets the raft library write to the node's own log (hclog.Logger).
type raftLogger struct {
	logger *slog.Logger
	name   string
}

var slogLevels = map[hclog.Level]slog.Level{
	hclog.Trace: slog.LevelDebug - 4,
	hclog.Debug: slog.LevelDebug,
	hclog.Info:  slog.LevelInfo,
	hclog.Warn:  slog.LevelWarn,
	hclog.Error: slog.LevelError,
}

// Log writes one line; args are keys and values in turn.
func (l raftLogger) Log(level hclog.Level, msg string, args ...any) {
	if !l.enabled(level) {
		return
	}
	for i, arg := range args {
		switch v := arg.(type) {
		case hclog.Format:
			args[i] = fmt.Sprintf(v[0].(string), v[1:]...)
		case []byte:
			args[i] = string(v)
		}
	}
	l.logger.Log(context.Background(), slogLevels[level], msg, args...)
}

func (l raftLogger) enabled(level hclog.Level) bool {
	return l.logger.Enabled(context.Background(), slogLevels[level])
}

func (l raftLogger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l raftLogger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l raftLogger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l raftLogger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l raftLogger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l raftLogger) IsTrace() bool { return l.enabled(hclog.Trace) }
func (l raftLogger) IsDebug() bool { return l.enabled(hclog.Debug) }
func (l raftLogger) IsInfo() bool  { return l.enabled(hclog.Info) }
func (l raftLogger) IsWarn() bool  { return l.enabled(hclog.Warn) }
func (l raftLogger) IsError() bool { return l.enabled(hclog.Error) }

func (l raftLogger) ImpliedArgs() []any { return nil }
func (l raftLogger) Name() string       { return l.name }

func (l raftLogger) With(args ...any) hclog.Logger {
	return raftLogger{l.logger.With(args...), l.name}
}

func (l raftLogger) Named(name string) hclog.Logger      { return raftLogger{l.logger, name} }
func (l raftLogger) ResetNamed(name string) hclog.Logger { return raftLogger{l.logger, name} }

// SetLevel does nothing: the node's own log decides.
func (l raftLogger) SetLevel(hclog.Level) {}

func (l raftLogger) GetLevel() hclog.Level {
	for _, level := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn} {
		if l.enabled(level) {
			return level
		}
	}
	return hclog.Error
}

func (l raftLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return slog.NewLogLogger(l.logger.Handler(), slog.LevelInfo)
}

func (l raftLogger) StandardWriter(o *hclog.StandardLoggerOptions) io.Writer {
	return l.StandardLogger(o).Writer()
}
