"""Measures the program against its own limits: `python -m benchmarks --help`."""
