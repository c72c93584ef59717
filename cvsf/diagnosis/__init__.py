"""What is wrong with the views of a take: delays, mirrored or exchanged pictures, another person.

In: observations of a take, and options. Out: the calibration that explains them, the observations
as it reads them, and what was found wrong, by camera.
Read `calibrate_take.py` first; `attempt.py` says when a calibration is sound.
"""
