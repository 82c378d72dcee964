package harness

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
)

// DataRoot is the folder below which runs keep their nodes' data, a folder for each tag.
func DataRoot() string {
	if user := realUser(); user != 0 {
		return filepath.Join(os.TempDir(), fmt.Sprintf("rift-data-%d", user))
	}
	return "/var/lib/rift"
}

// ownersDir is where this user's runs claim their tags. It is the same within a user namespace of the user's and outside.
func ownersDir() string {
	if user := realUser(); user != 0 {
		return filepath.Join(os.TempDir(), fmt.Sprintf("rift-%d", user))
	}
	return "/run/rift"
}

// realUser is the user that this program belongs to outside its own user namespace, in which it may be called root.
func realUser() int {
	user := os.Geteuid()
	f, err := os.Open("/proc/self/uid_map")
	if err != nil {
		return user
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var inside, outside, count int
		if n, _ := fmt.Sscan(lines.Text(), &inside, &outside, &count); n == 3 && inside <= user && user-inside < count {
			return outside + user - inside
		}
	}
	return user
}
