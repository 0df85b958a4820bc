"""``python -m tests.support.ahead SECONDS MODULE ...``: a program in a process whose clock is so far ahead."""

from __future__ import annotations

import runpy
import sys
import time

if __name__ == "__main__":
    told, ahead_s = time.time, float(sys.argv.pop(1))
    time.time = lambda: told() + ahead_s
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
