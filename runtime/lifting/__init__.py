"""From the 2D keypoints of all views to one skeleton, through the compiled lifter.

In: keypoints of an instant. Out: the skeleton in the canonical frame. `hot_swap.py` swaps engines
between two instants, `shadow_evaluation.py` compares the live engine with the previous one.
Read `lift.py` first.
"""
