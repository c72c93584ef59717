"""Command-line options from the fields of a settings model.

A flag and its TOML key have the same type, default, limits and help, defined once, in the model.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

Command = Callable[..., None]


def with_options(kind: type[BaseModel], flags: Mapping[str, str]) -> Callable[[Command], Command]:
    """A decorator that gives a command an option for each field of `kind` in `flags` (field: flag),
    all of them optional. KeyError of a field that `kind` lacks.

    They replace the command's parameter `given`, which gets a map of the fields that the user set.
    Limits are shown in the help, but not checked here; `load_table` refuses wrong values.
    """
    keys = {flag.removeprefix("--").replace("-", "_"): key for key, flag in flags.items()}
    shared = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=_annotation(kind.model_fields[key], flags[key]),
        )
        for name, key in keys.items()
    ]

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        parameters = []
        for parameter in signature.parameters.values():
            parameters += shared if parameter.name == "given" else [parameter]

        @wraps(command)
        def run(**arguments: Any) -> None:
            options = {key: arguments.pop(name, None) for name, key in keys.items()}
            given = {key: value for key, value in options.items() if value is not None}
            command(given=given, **arguments)

        vars(run)["__signature__"] = signature.replace(parameters=parameters)
        return run

    return decorate


def _annotation(field: FieldInfo, flag: str) -> Any:
    """The option of a field; the model, not the option, refuses values outside the limits."""
    is_choice = get_origin(field.annotation) is Literal
    least, most = (
        next((getattr(limit, end) for limit in field.metadata if hasattr(limit, end)), None)
        for end in ("ge", "le")
    )
    metavar = None
    if is_choice:
        metavar = "|".join(get_args(field.annotation))
    elif least is not None and most is not None:
        metavar = f"{least}..{most}"
    default = "" if field.default is None else f" [default: {field.default}]"
    option = typer.Option(flag, help=f"{field.description}{default}", metavar=metavar)
    typed: Any = str if is_choice else field.annotation
    return Annotated[typed | None, option]
