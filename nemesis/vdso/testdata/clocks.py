"""Answers each line on standard input with Python's wall and monotonic clocks, in nanoseconds."""
import sys
import time

for _ in sys.stdin:
    print(time.time_ns(), time.monotonic_ns(), flush=True)
