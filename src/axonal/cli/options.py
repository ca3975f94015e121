"""Options that several commands share: a dataclass of them stands for all as one parameter."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any


def grouped(function: Callable[..., None]) -> Callable[..., None]:
    """Let parameters of a command that are dataclasses stand for their fields, as options.

    The dataclass is built, and may refuse its values, before the command runs.
    """
    signature = inspect.signature(function, eval_str=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        if not is_dataclass(parameter.annotation):
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        group: Any = parameter.annotation
        groups[parameter.name] = group
        options = inspect.signature(group, eval_str=True).parameters.values()
        parameters += [o.replace(kind=inspect.Parameter.KEYWORD_ONLY) for o in options]

    @functools.wraps(function)
    def command(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        function(**given)

    vars(command)["__signature__"] = signature.replace(parameters=parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command
