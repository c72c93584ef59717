"""From the 2D keypoints of all views to one skeleton, through the compiled lifter.

In: keypoints of an instant. Out: the skeleton in the body's own frame. Also which engine does it:
`hot_swap.py` takes a new one between two instants, `shadow_evaluation.py` compares it with the
previous one.
Read `lift.py` first.
"""
