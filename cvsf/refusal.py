"""How a command says no before it starts: one sentence with what was found, what was expected and
the cure.
"""


class Refusal(Exception):
    """Bad input; the door prints the sentence and exits 2."""
