"""The parts of `benchmarks/speed.py`, and what other benchmarks share with it."""
