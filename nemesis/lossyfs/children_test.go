package lossyfs

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// boltChild opens a database, checks it, says which keys it has, and puts keys until it is killed, some in each transaction. It
// says of each transaction what it is about to put, and that it was acknowledged. A second
// argument makes it forget to sync.
func boltChild(args []string) error {
	db, err := bbolt.Open(args[0], 0o600, &bbolt.Options{Timeout: 5 * time.Second, NoSync: len(args) > 1})
	if err != nil {
		return err
	}
	last := uint64(0)
	bucket := []byte("b")
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return err
		}
		for err := range tx.Check() {
			return fmt.Errorf("check: %w", err)
		}
		return b.ForEach(func(k, _ []byte) error {
			last = binary.BigEndian.Uint64(k)
			fmt.Println("has", last)
			return nil
		})
	})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	value := make([]byte, 200)
	for last++; ; last += 3 {
		fmt.Println("puts", last+2)
		err := db.Update(func(tx *bbolt.Tx) error {
			for i := range uint64(3) {
				if err := tx.Bucket(bucket).Put(binary.BigEndian.AppendUint64(nil, last+i), value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		fmt.Println("acked", last+2)
	}
}

// commitChild makes so many transactions in a new database and says how long they took together.
func commitChild(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	db, err := bbolt.Open(filepath.Join(args[0], "db"), 0o600, nil)
	if err != nil {
		return err
	}
	value := make([]byte, 200)
	began := time.Now()
	for i := range n {
		err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			if err != nil {
				return err
			}
			return b.Put(binary.BigEndian.AppendUint64(nil, uint64(i)), value)
		})
		if err != nil {
			return err
		}
	}
	fmt.Println("took", time.Since(began).Nanoseconds())
	return db.Close()
}

// holdChild is a harness that mounts a file system, starts a program, and waits to be killed.
func holdChild(args []string) error {
	f, err := Mount(Options{Backing: args[0], Mountpoint: args[1], Tag: args[2]})
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.at("kept"), []byte("never synced"), 0o644); err != nil {
		return err
	}
	program := exec.Command("sleep", "60")
	if err := program.Start(); err != nil {
		return err
	}
	fmt.Println("program", program.Process.Pid)
	return program.Wait()
}

// mappedChild changes a file through a shared mapping, and syncs only its first page.
func mappedChild(args []string) error {
	file, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	data, err := unix.Mmap(int(file.Fd()), 0, 2*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	data[0] = 'S'
	if err := unix.Msync(data[:pageSize], unix.MS_SYNC); err != nil {
		return err
	}
	data[1], data[pageSize] = 'L', 'L'
	fmt.Println("mapped", string(data[:2]))
	time.Sleep(time.Minute)
	return nil
}

// syncChild writes and syncs a file over and over, and says so the first time.
func syncChild(args []string) error {
	file, err := os.Create(args[0])
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if _, err := file.WriteAt([]byte{byte(i)}, 0); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		if i == 0 {
			fmt.Println("synced")
		}
	}
}
