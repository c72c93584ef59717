"""Linear equations whose unknowns are in order of time, each tied only to those near it.

The matrix is cut into blocks, of which only neighbours are coupled; its Cholesky factor is found
block by block (Golub and Van Loan, Matrix Computations, section 4.5), so that the time to solve
grows with the length of a take, not with its cube.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from cvsf.shapes import Float, Int

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of a sparse matrix, each with P entries."""

    columns: Int[npt.NDArray[np.intp], "R P"]
    values: Float[Real, "R P"]

    def apply(self, unknowns: Float[Real, "U A"]) -> Float[Real, "R A"]:
        """The product of the matrix and the unknowns."""
        return np.asarray(np.einsum("rp,rpa->ra", self.values, unknowns[self.columns]))

    def transposed_apply(self, right: Float[Real, "R A"], unknowns: int) -> Float[Real, "U A"]:
        """The product of the transposed matrix and `right`, for so many unknowns."""
        total = np.zeros((unknowns, right.shape[1]))
        np.add.at(total, self.columns, self.values[..., None] * right[:, None])
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """The Cholesky factor of a symmetric matrix of B blocks of b unknowns; U is at most B b."""

    unknowns: int
    diagonal: Float[Real, "B b b"]
    """Lower triangular."""
    below: Float[Real, "B-1 b b"]

    def solve(self, right: Float[Real, "U A"]) -> Float[Real, "U A"]:
        """The solution for each of A right sides."""
        forward = self._blocks(right)
        for at in range(len(forward)):
            if at:
                forward[at] -= self.below[at - 1] @ forward[at - 1]
            forward[at] = np.linalg.solve(self.diagonal[at], forward[at])
        return self._backward(forward)

    def sample(self, normal: Float[Real, "U A"]) -> Float[Real, "U A"]:
        """Draws of a Gaussian whose covariance is the inverse of the matrix, from `normal`, numbers
        of a standard Gaussian.
        """
        return self._backward(self._blocks(normal))

    def _backward(self, blocks: Float[Real, "B b A"]) -> Float[Real, "U A"]:
        for at in reversed(range(len(blocks))):
            if at + 1 < len(blocks):
                blocks[at] -= self.below[at].T @ blocks[at + 1]
            blocks[at] = np.linalg.solve(self.diagonal[at].T, blocks[at])
        return np.asarray(blocks.reshape(-1, blocks.shape[-1])[: self.unknowns])

    def _blocks(self, values: Float[Real, "U A"]) -> Float[Real, "B b A"]:
        size = self.diagonal.shape[1]
        whole = np.zeros((len(self.diagonal) * size, values.shape[1]))
        whole[: self.unknowns] = values
        return whole.reshape(len(self.diagonal), size, -1)


def factorise(rows: tuple[Rows, ...], unknowns: int, size: int) -> Factor:
    """The factor of the sum of the rows' normal matrices, Rows^T Rows, in blocks of `size`. Entries
    of a row lie at most `size` apart, else ValueError; LinAlgError if the rows do not determine
    every unknown.
    """
    own, coupled = _blocks(rows, -(-unknowns // size), size)
    rest = np.arange(unknowns, len(own) * size) % size
    own[-1, rest, rest] = 1.0
    diagonal, below = np.zeros_like(own), np.zeros((len(own) - 1, size, size))
    for number, block in enumerate(own):
        if number:
            before = number - 1
            below[before] = np.linalg.solve(diagonal[before], coupled[before].T).T
            block = block - below[before] @ below[before].T
        diagonal[number] = np.linalg.cholesky(block)
    return Factor(unknowns=unknowns, diagonal=diagonal, below=below)


def _blocks(
    rows: tuple[Rows, ...], count: int, size: int
) -> tuple[Float[Real, "B b b"], Float[Real, "B b b"]]:
    """The blocks on the diagonal of the normal matrix, and those below it; the last of these is
    empty.
    """
    blocks = np.zeros((2, count, size, size))
    for some in rows:
        if np.ptp(some.columns, axis=1).max(initial=0) > size:
            raise ValueError(f"a row spans more than {size} unknowns")
        entries = some.columns.shape[1]
        for one, other in product(range(entries), range(entries)):
            row, column = some.columns[:, one], some.columns[:, other]
            values = some.values[:, one] * some.values[:, other]
            apart = row // size - column // size
            kept = apart >= 0
            at = (apart[kept], column[kept] // size, row[kept] % size, column[kept] % size)
            np.add.at(blocks, at, values[kept])
    return blocks[0], blocks[1]
