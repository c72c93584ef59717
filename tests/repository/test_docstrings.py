"""What a docstring of a public function must tell: the exceptions that its own body raises."""

import ast
from collections.abc import Iterator

from tests.repository.test_layout import modules

NOT_TOLD = {"Exit"}  # of typer: the end of a command
TOLD = ("raise", "refus")


def functions(
    scope: ast.Module | ast.ClassDef, outer: str = ""
) -> Iterator[tuple[str, ast.FunctionDef]]:
    """All functions and methods of a module, by their names in it."""
    for node in scope.body:
        if isinstance(node, ast.ClassDef):
            yield from functions(node, f"{outer}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield f"{outer}{node.name}", node


def is_public(name: str) -> bool:
    return not any(part.startswith("_") for part in name.split("."))


def is_command(function: ast.FunctionDef) -> bool:
    """Whether typer makes a command of it; then the docstring is the help text."""
    arguments = ast.unparse(function.args)
    return "typer.Option(" in arguments or "typer.Argument(" in arguments


def raised(function: ast.FunctionDef) -> set[str]:
    """Last names of what its body raises as `raise X` or `raise X(...)`; caught names are not X."""
    caught = {node.name for node in ast.walk(function) if isinstance(node, ast.ExceptHandler)}
    found: set[str] = set()
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue  # raised when that is called
        if isinstance(node, ast.Raise) and node.exc is not None:
            made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            found.add(ast.unparse(made))
        waiting += ast.iter_child_nodes(node)
    return {name.rpartition(".")[2] for name in found - caught} - NOT_TOLD


def untold(source: str) -> list[str]:
    """The public functions of a module whose docstring does not tell what they raise."""
    every = list(functions(ast.parse(source)))
    # a function that makes an exception stands for the exception
    makes = {f.name: ast.unparse(f.returns) for _, f in every if f.returns is not None}
    silent = []
    for name, function in every:
        docstring = ast.get_docstring(function) or ""
        names = {makes.get(made, made) for made in raised(function)}
        told = any(word in docstring.lower() for word in TOLD)
        if is_public(name) and not told and not is_command(function):
            silent += [f"{name} raises {each}" for each in sorted(names) if each not in docstring]
    return silent


def test_a_docstring_tells_which_exceptions_the_function_raises() -> None:
    silent = {name: untold(path.read_text()) for name, path in modules().items()}
    assert {name: found for name, found in silent.items() if found} == {}


RAISES = """    if not x:
        raise ValueError(x)
    try:
        g()
    except OSError as error:
        raise error
"""


def test_a_function_that_keeps_its_exception_to_itself_is_found() -> None:
    assert untold(f'def f(x):\n    """The x."""\n{RAISES}') == ["f raises ValueError"]
    assert untold(f'def f(x):\n    """The x; ValueError without one."""\n{RAISES}') == []
    assert untold(f'def _f(x):\n    """The x."""\n{RAISES}') == []
