package cgroup

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// CPULimit is how much of the processors a group may use: Quota of one processor's time in every Period. A negative Quota is no limit.
type CPULimit struct{ Quota, Period time.Duration }

// String is for people: "2% of a CPU".
func (l CPULimit) String() string {
	if l.Quota < 0 {
		return "no limit"
	}
	return fmt.Sprintf("%.3g%% of a CPU", 100*float64(l.Quota)/float64(l.Period))
}

// CPULimit is the limit of the group itself; the groups above may have lower ones.
func (g Group) CPULimit() (l CPULimit, err error) {
	h, err := g.at(CPU)
	if err != nil {
		return l, err
	}
	var quota, period string
	if h.unified {
		both, err := h.read("cpu.max")
		if err != nil {
			return l, err
		}
		quota, period, _ = strings.Cut(strings.Replace(both, "max", "-1", 1), " ")
	} else {
		if quota, err = h.read("cpu.cfs_quota_us"); err != nil {
			return l, err
		}
		if period, err = h.read("cpu.cfs_period_us"); err != nil {
			return l, err
		}
	}
	if l.Quota, err = microseconds(quota); err == nil {
		l.Period, err = microseconds(period)
	}
	if err != nil {
		return l, fmt.Errorf("read the CPU limit of %s: %w", g.Path, err)
	}
	return l, nil
}

// SetCPULimit sets the group's limit. The kernel takes a Period from 1 ms to 1 s, and a Quota of at least 1 ms.
func (g Group) SetCPULimit(l CPULimit) error {
	h, err := g.at(CPU)
	if err != nil {
		return err
	}
	quota, period := fmt.Sprint(l.Quota.Microseconds()), fmt.Sprint(l.Period.Microseconds())
	if l.Quota < 0 {
		quota = h.name("-1", "max")
	}
	if h.unified {
		err = h.write("cpu.max", quota+" "+period)
	} else {
		// The kernel refuses a period that makes the old quota too high a share, so there is none in between.
		for _, file := range [][2]string{{"cpu.cfs_quota_us", "-1"}, {"cpu.cfs_period_us", period}, {"cpu.cfs_quota_us", quota}} {
			if err = h.write(file[0], file[1]); err != nil {
				break
			}
		}
	}
	if err != nil {
		return fmt.Errorf("set the CPU limit of %s to %s: %w", g.Path, l, err)
	}
	return nil
}

// Throttled counts the periods in which the limit has stopped somebody in the group.
func (g Group) Throttled() (int64, error) {
	h, err := g.at(CPU)
	if err != nil {
		return 0, err
	}
	return h.field("cpu.stat", "nr_throttled")
}

// CPUTime is how much of the processors' time the group has used.
func (g Group) CPUTime() (time.Duration, error) {
	h, err := g.at(Accounting)
	if err != nil {
		return 0, err
	}
	if h.unified {
		used, err := h.field("cpu.stat", "usage_usec")
		return time.Duration(used) * time.Microsecond, err
	}
	used, err := h.number("cpuacct.usage")
	return time.Duration(used), err
}

func microseconds(text string) (time.Duration, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if n < 0 {
		return -1, err
	}
	return time.Duration(n) * time.Microsecond, err
}
