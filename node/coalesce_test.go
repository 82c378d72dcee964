package node

import (
	"context"
	"sync"
	"testing"
)

// Whoever asks while a question is under way gets the answer to the next one, and shares it.
func TestAnAnswerIsNeverOlderThanItsQuestion(t *testing.T) {
	asked := make(chan int, 10)
	answer := make(chan struct{})
	count := 0
	c := newCoalescer(func(context.Context) (int, error) {
		count++
		asked <- count
		<-answer
		return count, nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() { defer close(stopped); c.run(ctx) }()
	first := make(chan int, 1)
	go func() { v, _ := c.get(ctx); first <- v }()
	<-asked // the first question is under way
	var later sync.WaitGroup
	for range 5 {
		later.Add(1)
		go func() {
			defer later.Done()
			if v, err := c.get(ctx); v < 2 || err != nil {
				t.Errorf("got the answer to question %d, %v", v, err)
			}
		}()
	}
	await(t, "somebody waits for the second question", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.next != nil })
	close(answer)
	if v := <-first; v != 1 {
		t.Errorf("the first got answer %d", v)
	}
	later.Wait()
	cancel()
	<-stopped
	if _, err := c.get(ctx); err == nil {
		t.Error("an answer without anybody to give it")
	}
}
