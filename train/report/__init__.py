"""A night's report as one HTML page without other files.

In: `report.json`. Out: `report.html`: the verdict first, then every figure.
Read `page.py` first.
"""
