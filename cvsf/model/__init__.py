"""The method of the paper, in torch: the lifter, cross-view fusion and the losses.

In: 2D poses and confidences of V views. Out: per view a canonical pose and a rotation, refined 2D,
and one fused body.
Read `lifter.py` first (section 3.1), then `fusion.py`, `epipolar_refinement.py` (Eq. 2)
and `losses.py` (Eq. 3 to 6).
"""
