"""What holds for every test."""

import os
import signal
import threading

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before numpy is imported: tests run side by side

from hypothesis import settings  # noqa: E402

# Started in the background of a script, interruptions are ignored, and so they would be by the commands under test.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The first call of a numba kernel compiles it: that takes seconds and says nothing about the code.
settings.register_profile("sps-adaptive", deadline=None, derandomize=True)
settings.load_profile("sps-adaptive")
