package sim

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"iter"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	guestpkg "rift/harness/sim/guest"
)

type client struct {
	w          *world
	h          *host
	id         uint32
	in         []byte
	open, lost bool
	resume     func() (struct{}, bool)
	yield      func(struct{}) bool
}

var clientsN = 5
func TestProtoIdle(t *testing.T) { clientsN = 0; TestProto(t); clientsN = 5 }
func TestProto(t *testing.T) {
	wasm, err := os.ReadFile("/tmp/node.wasm")
	if err != nil {
		t.Skip()
	}
	t0 := time.Now()
	p, err := LoadProgram(context.Background(), wasm, "/tmp/wzcache")
	if err != nil {
		t.Fatal(err)
	}
	t.Log("compiled", time.Since(t0))
	for seed := int64(1); seed <= 1; seed++ {
		sum := sha256.New()
		t0 = time.Now()
		runProto(t, p, seed, sum)
		t.Logf("seed %d: %v %x", seed, time.Since(t0), sum.Sum(nil)[:6])
		sum.Reset()
		t0 = time.Now()
		runProto(t, p, seed, sum)
		t.Logf("seed %d: %v %x", seed, time.Since(t0), sum.Sum(nil)[:6])
	}
}

func runProto(t *testing.T, p *Program, seed int64, sum hash.Hash) {
	w := newWorld(context.Background(), seed, p)
	for i := 1; i <= 5; i++ {
		ip := fmt.Sprintf("10.0.0.%d", i)
		name := fmt.Sprintf("n%d", i)
		args := []string{"-id", name, "-haddr", ip + ":8080", "-raddr", ip + ":7000", "--cluster-id", "rift", "--log-level", "error", "-heartbeat-timeout", os.Getenv("XHB"), "-election-timeout", os.Getenv("XHB"), "-lease-timeout", os.Getenv("XHB")}
		if i > 1 {
			args = append(args, "-join", "10.0.0.1:8080")
		}
		args = append(args, "/data")
		g := &guest{node: name, args: args, env: []string{"GOGC=" + os.Getenv("XGOGC")}, disk: newDisk(), output: os.Stderr, clock: &clock{rate: 1}, address: ip}
		h := w.net.join(ip, g.deliver)
		g.handle = func(kind byte, id uint32, payload []byte) { w.net.take(h, kind, id, payload) }
		w.guests[name] = g
		w.start(g)
	}
	if err := w.pass(3 * time.Second); err != nil {
		t.Fatal(err)
	}
	ops := 0
	for c := range clientsN {
		ip := fmt.Sprintf("10.0.1.%d", c+1)
		cl := &client{w: w, id: 1}
		cl.h = w.net.join(ip, func(frame []byte) {
			switch frame[4] {
			case guestpkg.FrameOpen:
				cl.open = true
			case guestpkg.FrameData:
				cl.in = append(cl.in, frame[guestpkg.FrameHeader:]...)
			default:
				cl.lost = true
			}
			cl.resume()
		})
		next, _ := iter.Pull(func(yield func(struct{}) bool) {
			cl.yield = yield
			w.net.take(cl.h, guestpkg.FrameDial, cl.id, []byte(fmt.Sprintf("10.0.0.%d:8080", c+1)))
			for !cl.open && !cl.lost {
				yield(struct{}{})
			}
			for i := 0; !cl.lost; i++ {
				method, body := "GET", ""
				if i%2 == 0 {
					method, body = "PUT", fmt.Sprintf("%d", c*10000+i)
				}
				req, _ := http.NewRequest(method, fmt.Sprintf("http://10.0.0.%d:8080/v1/kv/k%d", c+1, i%3), strings.NewReader(body))
				var b bytes.Buffer
				req.Write(&b)
				w.net.take(cl.h, guestpkg.FrameData, cl.id, b.Bytes())
				for {
					resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(cl.in)), req)
					if err == nil {
						var body bytes.Buffer
						if _, err = body.ReadFrom(resp.Body); err == nil {
							fmt.Fprintln(sum, w.now, c, i, resp.StatusCode, body.String())
							if resp.StatusCode >= 300 && ops < 5 {
								fmt.Println(resp.Status, body.String())
							}
							break
						}
					}
					if cl.lost {
						return
					}
					if !yield(struct{}{}) {
						return
					}
				}
				cl.in = nil
				ops++
				pause := false
				w.after(60*time.Millisecond, func() { pause = true; cl.resume() })
				for !pause {
					if !yield(struct{}{}) {
						return
					}
				}
			}
		})
		cl.resume = next
		cl.resume()
	}
	if err := w.pass(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	for _, g := range w.guests {
		if g.failure != nil || g.dead {
			t.Log(g.node, g.failure, g.code, g.dead)
		}
		g.kill()
	}
	fmt.Fprintln(sum, w.now, w.planned)
	t.Log(Counts)
	clear(Counts)
	t.Log("ops", ops, "events", w.planned)
}
