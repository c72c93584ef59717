"""What the hub says about itself once a second.

In: the counters of every part of the hub. Out: one map of figures, the table in the terminal and
the metrics of Prometheus.
Read `hub_stats.py` first.
"""
