"""`cvsf bench`: the hub measured as its users run it, as real processes.

In: simulated slopes, a filmed clip or a recorded session. Out: errors, latencies and shares, as a
table or `--json`; truth is joined afterwards.
Each bench is the file of its name; `harness.py` runs the product.
"""
