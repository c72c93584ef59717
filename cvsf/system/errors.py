"""The refusal of a command before it starts.

One sentence: what was found, what was expected, and what to do.
"""


class Refusal(Exception):
    """Invalid input; the command prints the sentence and exits 2."""
