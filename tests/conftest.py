"""What holds for every test."""

import signal
import threading

from hypothesis import settings

# Started in the background of a script, interruptions are ignored, and so they would be by the commands under test.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The first call of a numba kernel compiles it: that takes seconds and says nothing about the code.
settings.register_profile("sps-adaptive", deadline=None, derandomize=True)
settings.load_profile("sps-adaptive")
