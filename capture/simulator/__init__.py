"""The simulated slope: cameras for machines without any, and the ground truth.

In: a seed, a camera number and the clock. Out: exposures like those of a real camera and, on
request, a file of the ground truth.
Read `simulated_camera.py` first, then `scene.py`.
"""
