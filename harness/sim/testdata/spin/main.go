// Spin is a program that never waits.
package main

import "time"

func main() {
	for time.Now().Year() > 0 {
	}
}
