package system

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"rift/harness"
)

// redisDepth bounds how deep an answer may be nested.
const redisDepth = 8

// redisConnection speaks redis's protocol, RESP 2, over one connection, one request at a time. After an error that is not the server's
// answer, the connection is given up, since nobody knows what is still to come on it; the next request makes another.
type redisConnection struct {
	dialer  *net.Dialer
	address string
	conn    net.Conn // nil: none
	answers *bufio.Reader
}

// redisError is an error that the server answered. It begins with a code in capitals.
type redisError string

func (e redisError) Error() string { return string(e) }

// redisRefusals are the codes with which the server refuses a command before it has changed anything: a script too gets them only before
// its first write. After other errors a script may have changed something.
var redisRefusals = map[string]bool{
	"LOADING": true, // it still reads its file
	"MISCONF": true, // it cannot write its file
	"OOM":     true, // no memory is left
	"BUSY":    true, // a script runs
	"NOAUTH":  true, "NOPERM": true,
}

// Unwrap makes a refusal one that did not happen.
func (e redisError) Unwrap() error {
	if code, _, _ := strings.Cut(string(e), " "); redisRefusals[code] {
		return harness.ErrDidNotHappen
	}
	return nil
}

// call makes one request in one attempt. An answer is nil, an int64, a string or an []any of such. An error wraps
// harness.ErrDidNotHappen if the request has not left or was refused.
func (c *redisConnection) call(ctx context.Context, command ...string) (any, error) {
	if c.conn == nil {
		conn, err := c.dialer.DialContext(ctx, "tcp", c.address)
		if err != nil {
			return nil, plainError(err)
		}
		c.conn, c.answers = conn, bufio.NewReader(conn)
	}
	conn := c.conn
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, c.broken(ctx, err)
	}
	// A deadline in the past wakes whoever reads or writes.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write(redisRequest(command)); err != nil {
		return nil, c.broken(ctx, err)
	}
	answer, err := readRedis(c.answers, redisDepth)
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	if refused, ok := answer.(redisError); ok {
		return nil, refused
	}
	return answer, nil
}

// broken gives the connection up, and says why in plain words.
func (c *redisConnection) broken(ctx context.Context, err error) error {
	c.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the server closed the connection")
	}
	return err
}

// Close closes the connection.
func (c *redisConnection) Close() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	return err
}

// redisRequest is a command as an array of strings.
func redisRequest(command []string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(command))
	for _, word := range command {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(word), word)
	}
	return b
}

// readRedis reads one answer, which is nested at most that deep. An error that the server answered is a redisError among the answers.
func readRedis(r *bufio.Reader, depth int) (any, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	text := strings.TrimRight(string(line), "\r\n")
	if text == "" || depth == 0 {
		return nil, fmt.Errorf("the server's answer is not of redis's protocol: %.60q", text)
	}
	kind, text := text[0], text[1:]
	switch kind {
	case '+':
		return text, nil
	case '-':
		return redisError(text), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || kind != ':' && n > maxAnswer {
		return nil, fmt.Errorf("the server's answer is not of redis's protocol: %c%.60q", kind, text)
	}
	switch {
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		return readRedisText(r, int(n))
	case kind == '*':
		return readRedisArray(r, int(n), depth)
	}
	return nil, fmt.Errorf("the server's answer is not of redis's protocol: %c%.60q", kind, text)
}

// readRedisText reads n bytes and the end of the line behind them. What is announced is not believed before it is there.
func readRedisText(r *bufio.Reader, n int) (any, error) {
	var b strings.Builder
	if _, err := io.CopyN(&b, r, int64(n)+2); err != nil {
		return nil, err
	}
	text, ok := strings.CutSuffix(b.String(), "\r\n")
	if !ok {
		return nil, errors.New("the server's answer is not of redis's protocol: a text is longer than announced")
	}
	return text, nil
}

func readRedisArray(r *bufio.Reader, n, depth int) (any, error) {
	list := []any{}
	for range n {
		element, err := readRedis(r, depth-1)
		if err != nil {
			return nil, err
		}
		list = append(list, element)
	}
	return list, nil
}
