"""How a command says no before it starts.

One sentence: what was found, what was expected, and the cure.
"""


class Refusal(Exception):
    """Bad input; the door prints the sentence and exits 2."""
