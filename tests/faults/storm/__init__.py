"""The long runs: thousands of cancellations and faults, with percentiles and the seed. `make storm` runs them all.

Files are called `storm_*.py`, so that `make test-all` doesn't collect them.
"""
