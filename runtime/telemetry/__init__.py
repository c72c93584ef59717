"""The stats of the hub, once a second (`runtime/stats.py` has every key).

In: the counters of every part of the hub. Out: alarms, the table in the terminal, the summary at
the end and the metrics of Prometheus.
Read `hub_stats.py` first, then `table.py`.
"""
