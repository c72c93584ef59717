"""Equations that are solved block by block, against the whole matrix."""

import numpy as np
import pytest

from cvsf.reconstruction.block_tridiagonal import Rows, factorise

UNKNOWNS, SIZE = 23, 5


def rows_of(count: int, span: int, seed: int) -> Rows:
    random = np.random.default_rng(seed)
    first = random.integers(0, UNKNOWNS - span, count)
    columns = first[:, None] + np.arange(span + 1)
    return Rows(columns=columns, values=random.normal(size=columns.shape))


def dense(rows: Rows) -> np.ndarray:
    matrix = np.zeros((len(rows.columns), UNKNOWNS))
    np.add.at(matrix, (np.arange(len(matrix))[:, None], rows.columns), rows.values)
    return matrix


EACH = Rows(columns=np.arange(UNKNOWNS)[:, None], values=np.full((UNKNOWNS, 1), 0.5))
SOME = (EACH, rows_of(60, 4, 0), rows_of(30, SIZE, 1))
NORMAL = sum(dense(rows).T @ dense(rows) for rows in SOME)


def test_the_solution_is_that_of_the_whole_matrix() -> None:
    right = np.random.default_rng(2).normal(size=(UNKNOWNS, 3))
    found = factorise(SOME, UNKNOWNS, SIZE).solve(right)
    np.testing.assert_allclose(found, np.linalg.solve(NORMAL, right), rtol=1e-9, atol=1e-12)


def test_draws_have_the_covariance_of_the_inverse() -> None:
    basis = factorise(SOME, UNKNOWNS, SIZE).sample(np.eye(UNKNOWNS))
    # each draw is linear in the numbers it is drawn from
    np.testing.assert_allclose(basis @ basis.T, np.linalg.inv(NORMAL), rtol=1e-8, atol=1e-12)


def test_rows_and_their_transpose_multiply_as_the_matrix_does() -> None:
    rows, random = SOME[1], np.random.default_rng(3)
    unknowns, right = random.normal(size=(UNKNOWNS, 2)), random.normal(size=(60, 2))
    np.testing.assert_allclose(rows.apply(unknowns), dense(rows) @ unknowns, atol=1e-12)
    found = rows.transposed_apply(right, UNKNOWNS)
    np.testing.assert_allclose(found, dense(rows).T @ right, atol=1e-12)


def test_a_row_that_is_too_long_for_the_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="spans more than 5 unknowns"):
        factorise((EACH, rows_of(3, SIZE + 1, 4)), UNKNOWNS, SIZE)


def test_unknowns_that_nothing_determines_are_an_error() -> None:
    half = Rows(columns=EACH.columns[::2], values=EACH.values[::2])
    with pytest.raises(np.linalg.LinAlgError):
        factorise((half,), UNKNOWNS, SIZE)
