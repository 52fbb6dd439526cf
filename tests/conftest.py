"""What holds for every test."""

from hypothesis import settings

# The first call of a numba kernel compiles it: that takes seconds and says nothing about the code.
settings.register_profile("sps-adaptive", deadline=None, derandomize=True)
settings.load_profile("sps-adaptive")
