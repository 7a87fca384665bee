"""Runs a command and says the largest sum of private resident memory over its processes.

    python src/tests/reference/peak_memory.py target/release/seedbed run pipeline.toml --memory '512 MB'

Private memory is what would come free if a process ended: pages of mapped files that others see too are not in it. Reads
/proc, so it is for Linux. The exit status is the command's.
"""

import os
import subprocess
import sys
import time

INTERVAL_SECONDS = 0.02


def children(pid):
    """The process and all that descend from it."""
    found, waiting = [], [pid]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as file:
                    waiting.extend(int(child) for child in file.read().split())
        except OSError:
            continue
    return found


def private_kib(pid):
    """Kibibytes of private resident memory; none of a process that has ended."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
    except (OSError, ValueError):
        return 0


def main():
    process = subprocess.Popen(sys.argv[1:])
    peak = peak_of_one = 0
    while process.poll() is None:
        each = [private_kib(pid) for pid in children(process.pid)]
        peak, peak_of_one = max(peak, sum(each)), max(peak_of_one, max(each))
        time.sleep(INTERVAL_SECONDS)
    print(f"peak: {peak / 1000 * 1.024:.1f} MB in all processes, {peak_of_one / 1000 * 1.024:.1f} MB in one", file=sys.stderr)
    sys.exit(process.returncode)


main()
