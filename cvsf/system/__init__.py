"""What every process needs: refusals, logs, signals, settings and the disk.

Nothing here knows of poses or cameras.
Read `errors.py` first: a Refusal is one sentence and exit code 2.
"""
