"""The simulated slope: a camera for machines that have none, with the truth beside it.

In: a seed, a camera number and the clock. Out: exposures as a real camera gives them, and on
request a file of what really happened. A simulator of cameras, never of answers.
Read `simulated_camera.py` first, then `scene.py`.
"""
