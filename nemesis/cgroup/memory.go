package cgroup

import (
	"fmt"
	"math"
	"strconv"
)

// Unlimited is the limit of a group that has none.
const Unlimited = -1

// MemoryLimit is how many bytes the group itself may use; the groups above may have lower limits.
func (g Group) MemoryLimit() (int64, error) {
	h, err := g.at(Memory)
	if err != nil {
		return 0, err
	}
	text, err := h.read(h.name("memory.limit_in_bytes", "memory.max"))
	if err != nil {
		return 0, err
	}
	if text == "max" {
		return Unlimited, nil
	}
	limit, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the memory limit of %s: %w", g.Path, err)
	}
	if limit > math.MaxInt64>>1 { // version 1 rounds "none" down to whole pages
		return Unlimited, nil
	}
	return limit, nil
}

// SetMemoryLimit sets the group's limit in bytes, or Unlimited. The kernel gives back what the group holds of files to meet it. In version 1 it
// refuses (EBUSY) a limit that it cannot meet; in version 2 it then kills.
func (g Group) SetMemoryLimit(bytes int64) error {
	h, err := g.at(Memory)
	if err != nil {
		return err
	}
	value := strconv.FormatInt(bytes, 10)
	if bytes == Unlimited {
		value = h.name(value, "max")
	}
	if err := h.write(h.name("memory.limit_in_bytes", "memory.max"), value); err != nil {
		return fmt.Errorf("limit the memory of %s: %w", g.Path, err)
	}
	return nil
}

// MemoryHeld is how many bytes the group uses, without what it holds of files on disk: that the kernel can give back.
func (g Group) MemoryHeld() (int64, error) {
	h, err := g.at(Memory)
	if err != nil {
		return 0, err
	}
	used, err := h.number(h.name("memory.usage_in_bytes", "memory.current"))
	if err != nil {
		return 0, err
	}
	files, err := h.field("memory.stat", h.name("total_cache", "file"))
	if err != nil {
		return 0, err
	}
	shared, err := h.field("memory.stat", h.name("total_shmem", "shmem")) // counted among the files, but on no disk
	return used - files + shared, err
}

// MemoryHits counts how often the group has met its limit.
func (g Group) MemoryHits() (int64, error) {
	h, err := g.at(Memory)
	if err != nil {
		return 0, err
	}
	if h.unified {
		return h.field("memory.events", "max")
	}
	return h.number("memory.failcnt")
}

// MemoryKills counts the processes of the group that the kernel has killed for want of memory.
func (g Group) MemoryKills() (int64, error) {
	h, err := g.at(Memory)
	if err != nil {
		return 0, err
	}
	return h.field(h.name("memory.oom_control", "memory.events"), "oom_kill")
}
