"""What every process needs: refusals, logs, signals, settings and the disk.

In: settings files, signals, bytes to keep. Out: checked settings, one sentence for every refusal,
files that are whole or not there. Nothing here knows of poses.
Read `errors.py` first: a Refusal is one sentence and exit code 2.
"""
