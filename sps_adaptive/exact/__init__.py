"""Exact operating characteristics: all paths of a trial, summed."""
