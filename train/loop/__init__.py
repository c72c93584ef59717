"""The optimisation: one lifter, one variant, one seed.

In: batches. Out: a checkpoint, curves and scores in one folder, resumable to the last digit.
Read `run.py` first, then `optimise.py`; `objectives.py` says what each variant minimises.
"""
