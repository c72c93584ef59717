"""The optimisation: one lifter, one variant, one seed.

In: batches. Out: a checkpoint, curves and scores in one folder, resumable to the bit.
Read `run.py` first, then `optimise.py`; `objectives.py` has what each variant minimises.
"""
