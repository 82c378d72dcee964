// A C program whose clocks are skewed. It answers each line on standard input with a line of clocks: a name, and then what the system
// call showed, what the C library showed, and what the system call showed afterwards, in nanoseconds.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static long long ns(struct timespec t) { return t.tv_sec * 1000000000LL + t.tv_nsec; }

static long long true_time(clockid_t id) {
	struct timespec t;
	syscall(SYS_clock_gettime, id, &t);
	return ns(t);
}

static long long by_clock_gettime(clockid_t id) {
	struct timespec t;
	clock_gettime(id, &t);
	return ns(t);
}

static long long by_gettimeofday(clockid_t id) {
	struct timeval t;
	struct timezone zone = {-1, -1}, true_zone = {-1, -1};
	gettimeofday(&t, &zone);
	syscall(SYS_gettimeofday, NULL, &true_zone);
	return zone.tz_minuteswest == true_zone.tz_minuteswest ? t.tv_sec * 1000000000LL + t.tv_usec * 1000LL : -1;
}

static long long by_time(clockid_t id) {
	time_t t;
	return time(&t) == t ? t * 1000000000LL : -1;
}

static const struct {
	const char *name;
	clockid_t id;
	long long (*ask)(clockid_t);
} clocks[] = {
	{"realtime", CLOCK_REALTIME, by_clock_gettime},
	{"realtime_coarse", CLOCK_REALTIME_COARSE, by_clock_gettime},
	{"tai", CLOCK_TAI, by_clock_gettime},
	{"gettimeofday", CLOCK_REALTIME, by_gettimeofday},
	{"time", CLOCK_REALTIME_COARSE, by_time},
	{"monotonic", CLOCK_MONOTONIC, by_clock_gettime},
	{"monotonic_coarse", CLOCK_MONOTONIC_COARSE, by_clock_gettime},
	{"monotonic_raw", CLOCK_MONOTONIC_RAW, by_clock_gettime},
	{"boottime", CLOCK_BOOTTIME, by_clock_gettime},
	{"cpu", CLOCK_THREAD_CPUTIME_ID, by_clock_gettime},
};

int main(void) {
	char line[64];
	while (fgets(line, sizeof line, stdin)) {
		for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
			long long after = true_time(clocks[i].id), seen = clocks[i].ask(clocks[i].id);
			printf("%s %lld %lld %lld ", clocks[i].name, after, seen, true_time(clocks[i].id));
		}
		struct timespec t;
		printf("error %d\n", clock_gettime(77, &t) == -1);
		fflush(stdout);
	}
}
