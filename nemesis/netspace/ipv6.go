package netspace

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
)

// IPv6Devices lists the devices of a network namespace that have an IPv6 address, the loopback device aside.
func IPv6Devices(path string) (devices []string, err error) {
	err = Inside(path, func() error {
		f, err := os.Open("/proc/thread-self/net/if_inet6")
		if os.IsNotExist(err) {
			return nil // a kernel without IPv6
		}
		if err != nil {
			return fmt.Errorf("list IPv6 addresses: %w", err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			const device = 5 // after address, index, prefix length, scope and flags
			if fields := strings.Fields(lines.Text()); len(fields) > device && fields[device] != "lo" && !slices.Contains(devices, fields[device]) {
				devices = append(devices, fields[device])
			}
		}
		return lines.Err()
	})
	return devices, err
}
