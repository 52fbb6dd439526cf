"""`python -m sps_adaptive` is `sps-adaptive`."""

from sps_adaptive.cli.main import main

main()
