package lossyfs

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// holds checks a file; want "" is that it does not exist.
func holds(t testing.TB, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if want == "" && os.IsNotExist(err) {
		return
	}
	if err != nil || string(got) != want {
		t.Errorf("%s: %q (%v), want %q", filepath.Base(path), got, err, want)
	}
}

// TestModels shows the difference: a file that was synced in a new folder that was not.
func TestModels(t *testing.T) {
	for model, want := range map[Model]string{Ext4: "kept", Strict: ""} {
		f := mount(t, Options{Model: model})
		mkdir(t, f.at("dir"))
		put(t, f.at("dir/unsynced"), "lost")
		file(t, f, "dir/synced", []byte("kept"))
		lost := failPower(t, f)
		holds(t, f.at("dir/synced"), want)
		if model == Ext4 {
			// The journal has its name, and nothing of its content.
			if st, err := os.Stat(f.at("dir/unsynced")); err != nil || st.Size() != 0 {
				t.Errorf("unsynced: %v, %v", st, err)
			}
			if len(lost.Files) != 1 || lost.Files[0] != (LostFile{"dir/unsynced", 4}) || len(lost.Names) != 0 {
				t.Errorf("lost %+v", lost)
			}
		} else if want := []string{"dir", "dir/synced", "dir/unsynced"}; !slices.Equal(lost.Names, want) {
			t.Errorf("lost %+v, want names %v", lost, want)
		}
	}
}

// TestReplaceWithoutSync is the program that writes a new file and renames it over the old one, and forgets to sync.
func TestReplaceWithoutSync(t *testing.T) {
	f := mount(t, Options{})
	file(t, f, "config", []byte("old"))
	put(t, f.at("config.new"), "new")
	if err := os.Rename(f.at("config.new"), f.at("config")); err != nil {
		t.Fatal(err)
	}
	failPower(t, f)
	holds(t, f.at("config"), "old")
	holds(t, f.at("config.new"), "")

	put(t, f.at("config.new"), "new")
	if err := os.Rename(f.at("config.new"), f.at("config")); err != nil {
		t.Fatal(err)
	}
	file(t, f, "another", nil) // whose fsync commits the journal
	failPower(t, f)
	if st, err := os.Stat(f.at("config")); err != nil || st.Size() != 0 {
		t.Errorf("config: %v, %v; want it empty", st, err)
	}
}

func TestOpenWithSync(t *testing.T) {
	f := mount(t, Options{})
	for name, flag := range map[string]int{"sync": unix.O_SYNC, "dsync": unix.O_DSYNC, "neither": 0} {
		file, err := os.OpenFile(f.at(name), os.O_CREATE|os.O_WRONLY|flag, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString("kept"); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	failPower(t, f)
	holds(t, f.at("sync"), "kept")
	holds(t, f.at("dsync"), "kept")
}

func TestMappedWritesAreLost(t *testing.T) {
	f := mount(t, Options{})
	file(t, f, "file", []byte(strings.Repeat("o", 2*pageSize)))
	c := start(t, "mapped", f.at("file"))
	if got := c.expect(t, "mapped "); got != "SL" {
		t.Errorf("the program sees %q in its mapping", got)
	}
	c.kill(t)
	failPower(t, f)
	got, err := os.ReadFile(f.at("file"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got[:2]) != "So" || got[pageSize] != 'o' {
		t.Errorf("%q and %q; only the synced byte was to stay", got[:2], got[pageSize])
	}
}

func TestDurableAfter(t *testing.T) {
	f := mount(t, Options{DurableAfter: time.Hour})
	put(t, f.at("old"), "kept")
	f.volume.expire(time.Now().Add(time.Hour + time.Second))
	put(t, f.at("new"), "lost")
	failPower(t, f)
	holds(t, f.at("old"), "kept")
	holds(t, f.at("new"), "")

	soon := mount(t, Options{DurableAfter: 20 * time.Millisecond})
	put(t, soon.at("file"), "kept")
	eventually(t, "the write-back", func() bool {
		soon.volume.mu.Lock()
		defer soon.volume.mu.Unlock()
		for _, n := range soon.volume.byID {
			n.mu.Lock()
			clean := n.content.clean()
			n.mu.Unlock()
			if !clean {
				return false
			}
		}
		return len(soon.volume.changed) == 0
	})
	failPower(t, soon)
	holds(t, soon.at("file"), "kept")
}

// TestPreallocation writes 64 MB for the first time: memory for what it undoes is not needed.
func TestPreallocation(t *testing.T) {
	f := mount(t, Options{})
	file := file(t, f, "wal", []byte("kept"))
	if err := unix.Fallocate(int(file.Fd()), 0, 0, 64<<20); err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, maxWrite)
	for i := range chunk {
		chunk[i] = 'x'
	}
	for off := int64(pageSize); off < 8<<20; off += maxWrite {
		if _, err := file.WriteAt(chunk, off); err != nil {
			t.Fatal(err)
		}
	}
	f.volume.mu.Lock()
	for _, n := range f.volume.byID {
		n.mu.Lock()
		for i, d := range n.content.pages {
			if d.before != &zeros {
				t.Errorf("page %d has a copy of its own", i)
			}
		}
		n.mu.Unlock()
	}
	f.volume.mu.Unlock()
	lost := failPower(t, f)
	holds(t, f.at("wal"), "kept")
	if lost.Bytes() != 64<<20-4 {
		t.Errorf("lost %d bytes", lost.Bytes())
	}
}

// TestOwnersAndLinks checks what programs see besides content.
func TestOwnersAndLinks(t *testing.T) {
	f := mount(t, Options{})
	opened := file(t, f, "file", []byte("x"))
	if err := os.Chmod(f.at("file"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(f.at("file"), 1234, -1); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.at("file")); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(opened.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if st.Nlink != 0 || st.Uid != 1234 || st.Mode != unix.S_IFREG|0o640 {
		t.Errorf("a removed file has %d links, owner %d, mode %o", st.Nlink, st.Uid, st.Mode)
	}
	failPower(t, f)
	if err := unix.Stat(f.at("file"), &st); err != nil {
		t.Fatal(err)
	}
	if st.Nlink != 1 || st.Uid != 1234 || st.Mode != unix.S_IFREG|0o640 {
		t.Errorf("back again it has %d links, owner %d, mode %o", st.Nlink, st.Uid, st.Mode)
	}
}

// TestPowerFailsUnderLoad lets the power fail while programs still run: their calls fail, and nothing hangs.
func TestPowerFailsUnderLoad(t *testing.T) {
	f := mount(t, Options{DurableAfter: 5 * time.Millisecond})
	for i := range 3 {
		var users sync.WaitGroup
		var over atomic.Bool
		for j := range 4 {
			users.Go(func() {
				for name := f.at(strconv.Itoa(j)); !over.Load(); {
					// They may fail, and once the mount is gone they reach the folder below it.
					os.WriteFile(name, []byte("some"), 0o644)
					os.Rename(name, f.at("all"))
				}
			})
		}
		writes := f.Counts().Writes
		eventually(t, "some load", func() bool { return f.Counts().Writes > writes+100 })
		if _, err := f.PowerFail(TornSectors, rand.New(rand.NewPCG(1, uint64(i)))); err != nil {
			t.Fatal(err)
		}
		over.Store(true)
		users.Wait()
		if err := f.Remount(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCloseLeavesTheLiveTree(t *testing.T) {
	f := mount(t, Options{})
	put(t, f.at("file"), "live")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	holds(t, f.live("file"), "live")
	holds(t, f.at("file"), "")
	if _, err := os.Stat(filepath.Join(filepath.Dir(f.options.Backing), ".live.lossyfs")); !os.IsNotExist(err) {
		t.Errorf("the folder of removed files: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if err := f.Remount(); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("remount of what is closed: %v", err)
	}
	if _, err := f.PowerFail(All, nil); err == nil || !strings.Contains(err.Error(), "not mounted") {
		t.Errorf("power failure of what is closed: %v", err)
	}
}

func TestDeadHarness(t *testing.T) {
	requireFUSE(t)
	dir := t.TempDir()
	o := Options{Backing: filepath.Join(dir, "live"), Mountpoint: filepath.Join(dir, "mnt"), Tag: "lossytest" + strconv.Itoa(os.Getpid())}
	mkdir(t, o.Backing)
	mkdir(t, o.Mountpoint)
	harness := start(t, "hold", o.Backing, o.Mountpoint, o.Tag)
	program, err := strconv.Atoi(harness.expect(t, "program "))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Kill(program, unix.SIGKILL) })
	if swept, err := Sweep(o.Tag); err != nil || len(swept) > 0 {
		t.Errorf("while the harness lives: swept %v, %v", swept, err)
	}
	if _, err := Mount(o); err == nil {
		t.Error("mounted twice on the same backing folder")
	}
	harness.Process.Kill()
	harness.Process.Wait() // its program lives on, and keeps its output open

	_, err = os.ReadFile(filepath.Join(o.Mountpoint, "kept"))
	wantError(t, "use of a dead mount", err, unix.ENOTCONN)
	holds(t, filepath.Join(o.Backing, "kept"), "never synced")
	if _, err := Mount(o); err == nil || !strings.Contains(err.Error(), "Sweep") {
		t.Errorf("mount on a dead mount: %v", err)
	}
	if swept, err := Sweep(o.Tag); err != nil || !slices.Equal(swept, []string{o.Mountpoint}) {
		t.Errorf("swept %v, %v", swept, err)
	}
	f := mount(t, o)
	holds(t, f.at("kept"), "never synced")
}

func TestBadOptions(t *testing.T) {
	requireFUSE(t)
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "a"))
	mkdir(t, filepath.Join(dir, "b"))
	put(t, filepath.Join(dir, "file"), "")
	good := Options{Backing: filepath.Join(dir, "a"), Mountpoint: filepath.Join(dir, "b")}
	for want, spoil := range map[string]func(*Options){
		"Model: zfs given, ext4 or strict allowed": func(o *Options) { o.Model = "zfs" },
		"DurableAfter: -1s given":                  func(o *Options) { o.DurableAfter = -time.Second },
		"Backing: stat":                            func(o *Options) { o.Backing = filepath.Join(dir, "none") },
		"Mountpoint: " + dir:                       func(o *Options) { o.Mountpoint = filepath.Join(dir, "file") },
		"apart from Backing":                       func(o *Options) { o.Mountpoint = dir },
		"a folder that is no mount":                func(o *Options) { o.Backing = "/proc" },
	} {
		o := good
		spoil(&o)
		if f, err := Mount(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
			if f != nil {
				f.Close()
			}
		}
	}
	f := mount(t, good)
	if _, err := f.PowerFail("some", nil); err == nil || !strings.Contains(err.Error(), "loss some given") {
		t.Errorf("a loss that is none: %v", err)
	}
	if err := f.Remount(); err == nil || !strings.Contains(err.Error(), "is mounted") {
		t.Errorf("remount of what is mounted: %v", err)
	}
}

func TestParseMounts(t *testing.T) {
	table := `28 27 0:25 / /mnt/a\040b ro,nosuid - tmpfs none ro
43 27 0:39 / /mnt/c\134d rw,relatime shared:7 master:1 - fuse.lossyfs rift12 rw,user_id=0
damaged
44 27 0:40 / /mnt`
	want := []mounted{{"/mnt/a b", "tmpfs", "none"}, {`/mnt/c\d`, fsType, "rift12"}}
	if got := parseMounts(table); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add("43 27 0:39 / /mnt rw shared:7 - fuse.lossyfs rift12 rw\n")
	f.Add(" - ")
	f.Fuzz(func(t *testing.T, table string) {
		if got, lines := len(parseMounts(table)), strings.Count(table, "\n")+1; got > lines {
			t.Errorf("%d mounts in %d lines", got, lines)
		}
	})
}
