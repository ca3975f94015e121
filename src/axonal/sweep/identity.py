"""Which function is this? A name and a hash that are the same in every process.

The hash covers the bytecode, constants, defaults and enclosed variables of a function, of the
function inside a partial or method, and the object a method is bound to. Comments and formatting
do not change it; a new version of Python may. Of the functions that it calls it knows only the
names: where those change, a ``version`` says so.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from typing import Any

from axonal.errors import InputError


def identify(
    function: Callable[..., Any], fixed: Mapping[str, Any], version: str | None
) -> dict[str, str]:
    """Return what a store compares: the function's name, its code or version, the fixed values."""
    name = {"function": function_name(function)}
    if version is None:
        return {**name, "code": fingerprint(function), "fixed": fingerprint(fixed)}
    try:
        values = fingerprint(fixed)
    except InputError:  # the version speaks for them too
        values = ", ".join(sorted(fixed))
    return {**name, "version": str(version), "fixed": values}


def function_name(function: Callable[..., Any]) -> str:
    """Return the qualified name of a function, method, partial or callable object."""
    if isinstance(function, functools.partial):
        return function_name(function.func)
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def fingerprint(value: Any) -> str:
    """Return a hash of a function, an array, or anything made of them that can be pickled."""
    import joblib

    try:
        return str(joblib.hash(_plain(value, ())))
    except Exception as error:
        raise InputError(
            f"the function or a fixed parameter cannot be identified for the store ({error}): "
            "give version='...', and another one whenever they change"
        ) from error


def _plain(value: Any, inside: tuple[int, ...]) -> Any:
    """Return a value with its functions replaced by what they consist of."""
    if id(value) in inside:  # a function that encloses itself
        return "itself"
    inside = (*inside, id(value))
    if isinstance(value, functools.partial):
        return _plain(["partial", value.func, value.args, value.keywords], inside)
    if isinstance(value, types.MethodType):
        return _plain(["method", value.__func__, value.__self__], inside)
    if isinstance(value, types.FunctionType):
        closure = [cell.cell_contents for cell in value.__closure__ or ()]
        parts = [value.__defaults__, value.__kwdefaults__, closure]
        return [function_name(value), _code(value.__code__), _plain(parts, inside)]
    if isinstance(value, Mapping):
        return {str(key): _plain(item, inside) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, inside) for item in value]
    if callable(value) and isinstance(call := type(value).__call__, types.FunctionType):
        return [_plain(call, inside), value]
    return value


def _code(code: types.CodeType) -> list[Any]:
    def constant(value: Any) -> Any:
        if isinstance(value, types.CodeType):
            return _code(value)
        # the order of a set of strings differs from process to process
        return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)

    return [code.co_code, code.co_names, code.co_varnames, [constant(c) for c in code.co_consts]]
