"""When a loss has converged: the rule that ends stage 1.

Two windows of steps are compared, so one noisy batch neither ends a stage nor prolongs it.
"""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Plateau:
    """Converged once a window's mean loss is less than the share `drop` below the one before."""

    window_steps: int
    drop: float
    total: float = 0.0
    count: int = 0
    last: float | None = None
    reached: bool = False

    def add(self, loss: float) -> None:
        """Add the loss of one more step. After every `window_steps` steps, the mean of these is
        compared with that of the window before: unless it fell by the share `drop` or more,
        `reached` becomes True and stays so.
        """
        self.total += loss
        self.count += 1
        if self.count < self.window_steps:
            return
        mean = self.total / self.count
        self.reached = self.reached or (
            self.last is not None and mean > (1 - self.drop) * self.last
        )
        self.last, self.total, self.count = mean, 0.0, 0
