package machine

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rift/nemesis/netfilter"
	"rift/nemesis/netspace"
	"rift/nemesis/packets"
)

func TestThingsAreToldApart(t *testing.T) {
	table := Thing{Kind: Table, Name: "bridge riftaaaaaa-partition1"}
	device := Thing{Kind: Device, Name: "eth0", Where: "riftaaaaaa-n1"}
	folder := Thing{Kind: Folder, Name: "/var/lib/rift/riftbbbbbb"}
	process := Thing{Kind: Stopped, Name: "7", Detail: "node in /var/lib/rift/riftaaaaaa/n1"}
	all := []Thing{table, device, folder, process}
	if got := Of(all, "riftaaaaaa"); !slices.Equal(got, []Thing{table, device, process}) {
		t.Errorf("of the tag: %v", got)
	}
	if got := New(all[1:], all); !slices.Equal(got, all[:1]) {
		t.Errorf("new: %v", got)
	}
	if got := New(all, all[1:]); len(got) > 0 {
		t.Errorf("new: %v", got)
	}
	names := Thing{Kind: Mount, Name: "/run/netns/riftaaaaaa-n1", Detail: "nsfs nsfs"}
	disk := Thing{Kind: Mount, Name: "/var/lib/rift/riftaaaaaa/n1", Detail: "fuse.lossyfs riftaaaaaa"}
	for thing, want := range map[Thing]bool{table: true, process: true, disk: true, device: false, folder: false, names: false} {
		if thing.OfFault() != want {
			t.Errorf("%s is of a fault: %t, want %t", thing, !want, want)
		}
	}
}

// TestLookFindsWhatIsThere makes one thing of each kind that needs no cluster, in a network namespace of the test's own, and follows the remedies.
func TestLookFindsWhatIsThere(t *testing.T) {
	if os.Geteuid() != 0 {
		why := "looking into namespaces needs root"
		if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	runtime.LockOSThread() // for good: the thread ends with the test's goroutine
	check(t, unix.Unshare(unix.CLONE_NEWNET))
	const tag = "machinetest"
	folder := t.TempDir()
	check(t, os.Mkdir(filepath.Join(folder, tag), 0o755))
	check(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: tag}}))
	check(t, netspace.Create(tag+"-n1"))
	t.Cleanup(func() { check(t, netspace.Remove(tag+"-n1")) })
	cut, err := netfilter.NewCut(tag+"-cut", nil)
	check(t, err)
	filter, err := packets.Disturb(packets.Site{NetNS: netspace.Path(tag + "-n1"), Table: tag + "-delay", Queue: 7}, packets.Delay(time.Millisecond, 0, nil))
	check(t, err)
	sleeper := exec.Command("sleep", "3600")
	sleeper.Dir = filepath.Join(folder, tag)
	check(t, sleeper.Start())
	t.Cleanup(func() { _ = sleeper.Wait() }) // it ends by being killed
	check(t, sleeper.Process.Signal(unix.SIGSTOP))
	wants := []string{
		"firewall table bridge " + tag + "-cut", "firewall table ip " + tag + "-delay in network namespace " + tag + "-n1",
		"packet queue 7 in network namespace " + tag + "-n1", "network device " + tag, "network namespace " + tag + "-n1",
		"mount /run/netns/" + tag + "-n1", "folder " + filepath.Join(folder, tag), "stopped process " + strconv.Itoa(sleeper.Process.Pid),
	}
	find(t, folder, tag, wants, true)
	check(t, cut.Close())
	check(t, filter.Close())
	check(t, sleeper.Process.Kill())
	for _, thing := range lookOf(t, folder, tag) {
		if thing.Kind == Device || thing.Kind == Folder {
			if out, err := exec.Command("sh", "-c", thing.Remedy).CombinedOutput(); err != nil {
				t.Errorf("%s: %v %s", thing.Remedy, err, out)
			}
		}
	}
	find(t, folder, tag, slices.DeleteFunc(wants, func(w string) bool { return strings.Contains(w, "netns") || strings.HasPrefix(w, "network namespace") }), false)
}

// find waits until all things are there, or none of them is: a process takes a moment to stop, or to end.
func find(t *testing.T, folder, tag string, wants []string, there bool) {
	t.Helper()
	var wrong []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		wrong = nil
		seen := lookOf(t, folder, tag)
		for _, want := range wants {
			if found := slices.ContainsFunc(seen, func(g Thing) bool { return strings.HasPrefix(g.String(), want) }); found != there {
				wrong = append(wrong, want)
			}
		}
		if len(wrong) == 0 {
			return
		}
	}
	t.Errorf("there should be: %t; %q", there, wrong)
}

func lookOf(t *testing.T, folder, tag string) []Thing {
	t.Helper()
	all, err := Look(t.Context(), folder)
	check(t, err)
	return Of(all, tag)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
