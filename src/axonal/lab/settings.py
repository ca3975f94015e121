"""A configuration that does not fit, in the user's words: the key, what came, what is allowed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from axonal.errors import InputError, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


def parse_settings(settings: Iterable[str], config: type[BaseModel]) -> dict[str, Any]:
    """Read ``key=value`` settings from a command line.

    A value is text, which the configuration's types turn into numbers and truth values; a list, an
    object or null is written as JSON, and a list also as words between commas. ``a.b=3`` sets a
    value inside.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not key:
            raise InputError(f"--set takes key=value, such as --set prompts=8; got {setting!r}")
        *parents, leaf = key.split(".")
        inside = values
        for parent in parents:
            inside = inside.setdefault(parent, {})
            if not isinstance(inside, dict):
                raise InputError(f"--set {key}: {parent} was already set to a value")
        inside[leaf] = _value(text.strip(), _is_list(config, key))
    return values


def explain(error: ValidationError, config: type[BaseModel], whose: str) -> str:
    """Say in one sentence what pydantic found: key, what came, what is allowed."""
    found = [_explain_one(detail, config, whose) for detail in error.errors(include_url=False)]
    return "; ".join(dict.fromkeys(found))


def _explain_one(detail: Any, config: type[BaseModel], whose: str) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    kind, came, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{whose} has no setting {key!r}: {nearest(key, config.model_fields)}"
    if not key:
        return f"{whose}: {_reason(detail)}"
    if kind == "missing":
        return f"{whose} needs a value for {key!r}"
    field = config.model_fields.get(str(detail["loc"][0]))
    meaning = f" ({field.description.rstrip('.')})" if field and field.description else ""
    return f"{whose}: {key} = {came!r} does not fit: it must be {_allowed(kind, context, detail)}{meaning}"


def _allowed(kind: str, context: dict[str, Any], detail: Any) -> str:
    bounds = {
        "greater_than": ("greater than", "gt"),
        "greater_than_equal": ("at least", "ge"),
        "less_than": ("less than", "lt"),
        "less_than_equal": ("at most", "le"),
        "multiple_of": ("a multiple of", "multiple_of"),
    }
    if kind in bounds:
        words, name = bounds[kind]
        return f"{words} {context[name]}"
    if kind in ("literal_error", "enum"):
        return str(context["expected"])
    if kind in ("too_short", "too_long"):
        words, name = (
            ("at least", "min_length") if kind == "too_short" else ("at most", "max_length")
        )
        return f"a list of {words} {context[name]} values, not {context['actual_length']}"
    if kind in ("string_too_short", "string_too_long"):
        words, name = ("at least", "min_length") if "short" in kind else ("at most", "max_length")
        return f"text of {words} {context[name]} characters"
    if kind == "string_pattern_mismatch":
        return f"text that matches {context['pattern']}"
    types = {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "string": "text",
        "list": "a list, such as [1, 2]",
        "tuple": "a list, such as [1, 2]",
        "finite_number": "a finite number",
        "path": "a path",
        "dict": 'an object, such as {"a": 1}',
        "model": 'an object, such as {"a": 1}',
    }
    for prefix, words in types.items():
        if kind.startswith(prefix):
            return words
    return _reason(detail)


def _reason(detail: Any) -> str:
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message.removeprefix("Input should be ").rstrip(".")


def _value(text: str, is_list: bool) -> Any:
    if text == "null" or text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    if is_list:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _is_list(config: type[BaseModel], key: str) -> bool:
    from typing import get_args, get_origin

    field = config.model_fields.get(key)
    if field is None:
        return False
    options = [field.annotation, *get_args(field.annotation)]
    return any(get_origin(option) in (list, tuple, set, frozenset) for option in options)
