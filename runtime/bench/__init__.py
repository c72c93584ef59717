"""`cvsf bench`: the hub measured as its users run it, as real processes.

In: simulated slopes, a clip or a recorded session. Out: errors, latencies and shares, as a
table or `--json`; ground truth is used afterwards only.
Each bench is the file of its name; `harness.py` runs the product.
"""
