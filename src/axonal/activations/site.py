"""A site: one named place in a model where a tensor flows, and how to reach it with hooks.

A site is a module's path and a side: what goes into the module or what comes out of it. The tensor
is the first one found there, so modules that return tuples, dictionaries or model outputs, or that
take their input by keyword, are sites like any other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from axonal.errors import InputError, nearest

Visit = Callable[[Tensor], Tensor]
"""Receives the tensor at a site and returns the one that flows on (the same object: no change)."""


@dataclass(frozen=True)
class Site:
    """A place in a model: ``Site("model.layers.3")`` is what block 3 of a Llama returns.

    Parameters
    ----------
    path
        The module's path as ``model.named_modules()`` spells it; ``""`` is the model itself.
    side
        ``"output"`` or ``"input"`` of the module.
    heads
        See the last dimension as so many attention heads: ``(..., heads, head_dim)``.
    head
        Only this head of ``heads``: ``(..., head_dim)``.
    """

    path: str
    side: Literal["output", "input"] = "output"
    heads: int | None = None
    head: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, str):
            raise InputError(
                f"A site's path is a string such as 'model.layers.3', got {self.path!r}."
            )
        if self.side not in ("output", "input"):
            raise InputError(f"A site's side is 'output' or 'input', got {self.side!r}.")
        if self.head is not None and not (self.heads and 0 <= self.head < self.heads):
            raise InputError(
                f"Head {self.head} of {self.heads} heads does not exist at {self.path}."
            )

    def __str__(self) -> str:
        view = "" if self.heads is None else f", {self.heads} heads"
        view = view if self.head is None else f", head {self.head}"
        return f"{self.path or 'the model'} ({self.side}{view})"

    def module(self, model: nn.Module) -> nn.Module:
        """Return the module at the site's path, or say which paths come nearest."""
        check_module(model)
        module = model
        for name in filter(None, self.path.split(".")):
            try:
                module = module.get_submodule(name)
            except AttributeError:
                paths = [path for path, _ in model.named_modules() if path]
                raise InputError(
                    f"{type(model).__name__} has no module at {self.path!r}; "
                    f"{nearest(self.path, paths)}"
                ) from None
            check_module(module)
        return module

    def attach(self, model: nn.Module, visit: Visit) -> RemovableHandle:
        """Call ``visit`` with the tensor at this site in every forward pass, until removed."""
        module = self.module(model)
        if any(map(_without_numbers, module.modules())):
            raise InputError(f"{self} has weights on the meta device: load their numbers first.")
        if self.heads is not None:
            visit = self._through_heads(visit)

        def on_output(_module: nn.Module, _args: Any, output: Any) -> Any:
            if isinstance(output, Tensor):  # the common case, kept short
                new = visit(output)
                return None if new is output else new
            return _replace_first(output, visit, self)

        def on_input(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if args and isinstance(args[0], Tensor):
                new = visit(args[0])
                return None if new is args[0] else ((new, *args[1:]), kwargs)
            if any(isinstance(arg, Tensor) for arg in args):
                new_args = _replace_first(args, visit, self)
                return None if new_args is None else (new_args, kwargs)
            new_kwargs = _replace_first(kwargs, visit, self)
            return None if new_kwargs is None else (args, new_kwargs)

        if self.side == "output":
            return module.register_forward_hook(on_output)
        return module.register_forward_pre_hook(on_input, with_kwargs=True)

    def _through_heads(self, visit: Visit) -> Visit:
        heads, head = self.heads, self.head
        assert heads is not None

        def visit_heads(x: Tensor) -> Tensor:
            if x.shape[-1] % heads:
                raise InputError(f"{self}: {x.shape[-1]} features do not split into {heads} heads.")
            split = x.unflatten(-1, (heads, -1))
            part = split if head is None else split[..., head, :]
            new = visit(part)
            if new is part:
                return x
            if head is not None:
                new = torch.cat(
                    (split[..., :head, :], new.unsqueeze(-2), split[..., head + 1 :, :]), dim=-2
                )
            return new.flatten(-2)

        return visit_heads


def _replace_first(value: Any, visit: Visit, site: Site) -> Any:
    """Visit the first tensor of a tuple, list, mapping or dataclass; None when nothing changed."""
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, tuple | list):
        items = list(enumerate(value))
    else:
        raise InputError(f"{site} carries a {type(value).__name__}, in which no tensor is found.")
    for key, item in items:
        if isinstance(item, Tensor):
            new = visit(item)
            return None if new is item else _with_item(value, key, new)
    raise InputError(f"{site} carries a {type(value).__name__} without a tensor.")


def _with_item(value: Any, key: Any, new: Tensor) -> Any:
    """Return a copy of the container with one entry replaced; the original stays as it was."""
    if dataclasses.is_dataclass(value):  # the outputs of transformers
        return dataclasses.replace(cast(Any, value), **{key: new})
    if isinstance(value, Mapping):
        return {**value, key: new}
    items = [*value[:key], new, *value[key + 1 :]]
    return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)


def _without_numbers(module: nn.Module) -> bool:
    """Whether a module's own weights are on the meta device and accelerate doesn't bring them."""
    own = module.parameters(recurse=False)
    return any(parameter.is_meta for parameter in own) and not hasattr(module, "_hf_hook")


def check_module(module: object) -> None:
    """Refuse what is no module, and compiled modules, within which hooks are skipped."""
    if not isinstance(module, nn.Module):
        hint = " (pass its .model)" if isinstance(getattr(module, "model", None), nn.Module) else ""
        raise InputError(f"Expected a torch.nn.Module, got {type(module).__name__}{hint}.")
    if "_orig_mod" in module._modules or module._compiled_call_impl is not None:
        raise InputError(
            f"{type(module).__name__} is compiled, and within a compiled module hooks are skipped: "
            "use the model as it was before torch.compile."
        )
