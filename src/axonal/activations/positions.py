"""Which tokens are meant: the language of ``positions=`` in recording and editing.

``None``
    Every entry of the activation, padding too; the only choice for modules without tokens.
``"all"``, ``"prompt"``, ``"last"``, ``"generated"``
    Every real token; those of the prompt; the last of the prompt; those after the prompt.
an integer
    The token at that absolute position. Negative integers count from the end of the *prompt*, so
    -1 is its last token in the pass that reads the prompt, and nothing in a decoding step.
a slice
    Of absolute positions, with negative ends as above; an open end includes what is generated.
a list or tuple
    The union of integers and rules.
an integer tensor ``(rows,)`` or ``(rows, n)``
    Positions of each row.
a boolean tensor ``(columns,)`` or ``(rows, columns)``
    A mask laid out as the padded prompt batch is; what comes after it is not meant.
a function
    Of the ``Call``; returns a boolean tensor ``(batch, length)``, or True or False for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from axonal.activations.call import Call
from axonal.errors import InputError, nearest

Positions: TypeAlias = (
    int | str | slice | Sequence[int | str] | Tensor | Callable[[Call], Tensor | bool] | None
)

RULES = ("all", "prompt", "last", "generated")


def select(call: Call, positions: Positions) -> bool | Tensor:
    """Return which tokens of a pass are meant: ``(batch, length)``, or True or False for all."""
    if positions is None:
        return True
    known = call.answers.get(
        id(positions)
    )  # the rule is kept with its answer, so its id is its own
    if known is None:
        known = call.answers[id(positions)] = positions, _select(call, positions)
    return known[1]


def _select(call: Call, positions: Positions) -> bool | Tensor:
    if isinstance(positions, str):
        return _select_rule(call, positions)
    if isinstance(positions, Tensor):
        if positions.dtype == torch.bool:
            return _select_mask(call, positions)
        return (call.positions.unsqueeze(-1) == _each_row(call, positions).unsqueeze(1)).any(-1)
    if isinstance(positions, slice):
        return _select_slice(call, positions)
    if isinstance(positions, int):
        if positions < 0 and call.after_prompt:
            return False  # it counts from the end of the prompt, which is behind us
        return call.positions == _every_row(call, positions).unsqueeze(-1)
    if isinstance(positions, Sequence):
        chosen: bool | Tensor = False
        for part in positions:
            chosen = chosen | select(call, part)
        return chosen
    if callable(positions):
        return _checked(call, positions(call))
    raise InputError(
        f"positions is None, an integer, a rule ({', '.join(RULES)}), a slice, a list, a tensor or a "
        f"function, got {positions!r}."
    )


def gather(call: Call, x: Tensor, positions: Positions) -> Tensor:
    """Take the activations of the tokens that are meant out of ``x``: ``(batch, length, ...)``.

    Returns
    -------
    Tensor
        ``x`` itself for None; ``(batch, ...)`` for an integer, ``"last"`` and one position a row;
        ``(batch, n, ...)`` for a list, a slice and n positions a row; ``(tokens, ...)``, row after
        row, for the other rules, for masks and for functions.
    """
    if positions is None:
        return x
    call.check_tokens(x)
    if isinstance(positions, str) and positions == "last":
        positions = -1
    if isinstance(positions, int):
        return _take(call, x, _every_row(call, positions).unsqueeze(-1)).squeeze(1)
    if isinstance(positions, Tensor) and positions.dtype != torch.bool:
        taken = _take(call, x, _each_row(call, positions))
        return taken.squeeze(1) if positions.ndim == 1 else taken
    if isinstance(positions, list | tuple):
        indices = [position for position in positions if isinstance(position, int)]
        if len(indices) < len(positions) or not indices:
            raise InputError(f"A list of positions to record holds integers, got {positions!r}.")
        return _take(call, x, torch.stack([_every_row(call, p) for p in indices], dim=-1))
    chosen = torch.ones(call.batch, call.length, dtype=torch.bool, device=call.device)
    chosen = chosen & select(call, positions)
    taken = x[chosen.to(x.device)]
    if not isinstance(positions, slice):
        return taken
    counts = chosen.sum(-1)
    if (counts != counts[0]).any():
        raise InputError(
            f"{positions} holds {counts.tolist()} tokens in the rows of this batch, and a recorded "
            "slice must hold equally many: use a boolean mask, whose result is flat."
        )
    return taken.unflatten(0, (call.batch, -1))


def _select_rule(call: Call, rule: str) -> bool | Tensor:
    if rule == "last":
        return select(call, -1)
    if rule == "prompt":
        return not call.after_prompt and call.real & (call.columns < call.prompt_columns)
    if rule == "generated":
        if call.past + call.length <= call.prompt_columns:
            return False
        return call.after_prompt or call.real & (call.columns >= call.prompt_columns)
    if rule == "all":
        return call.after_prompt or call.padding_mask is None or call.real
    raise InputError(f"There is no positions rule {rule!r}; {nearest(rule, RULES)}")


def _select_slice(call: Call, part: slice) -> Tensor:
    step = 1 if part.step is None else part.step
    if step < 1:
        raise InputError(f"A slice of positions has a positive step, got {part}.")
    lengths = call.prompt_lengths.unsqueeze(-1)
    start = 0 if part.start is None else part.start
    lower = (lengths + start).clamp(min=0) if start < 0 else start
    chosen = call.real & (call.positions >= lower)
    if step > 1:
        chosen = chosen & ((call.positions - lower) % step == 0)
    if part.stop is None:
        return chosen
    return chosen & (call.positions < (lengths + part.stop if part.stop < 0 else part.stop))


def _select_mask(call: Call, mask: Tensor) -> bool | Tensor:
    if mask.ndim not in (1, 2) or mask.shape[-1] < call.prompt_columns:
        raise InputError(
            f"A mask of positions has shape (columns,) or (rows, columns) for the "
            f"{call.prompt_columns} columns of the prompt, got {tuple(mask.shape)}."
        )
    if call.past >= mask.shape[-1]:
        return False
    if mask.ndim == 2:
        call.check_rows(len(mask), "The mask of positions")
        mask = mask.to(call.device)[call.rows]
    here = mask.to(call.device)[..., call.past : call.past + call.length]
    return call.real & torch.nn.functional.pad(here, (0, call.length - here.shape[-1]))


def _checked(call: Call, chosen: object) -> bool | Tensor:
    expected = (call.batch, call.length)
    if isinstance(chosen, bool):
        return chosen
    if isinstance(chosen, Tensor) and chosen.dtype == torch.bool and chosen.shape == expected:
        return chosen
    came = tuple(chosen.shape) if isinstance(chosen, Tensor) else type(chosen).__name__
    raise InputError(
        f"A function of positions returns a boolean tensor of shape {expected}, got {came}."
    )


def _every_row(call: Call, position: int) -> Tensor:
    """``(batch,)``: the absolute position that an integer means in each row."""
    lengths = call.prompt_lengths
    if position >= 0:
        return torch.full_like(lengths, position)
    shortest = call.prompt_columns if call.padding_mask is None else int(lengths.min())
    if shortest < -position:
        raise InputError(
            f"Position {position} lies before the start of a prompt of {shortest} tokens."
        )
    return lengths + position


def _each_row(call: Call, positions: Tensor) -> Tensor:
    """``(batch, n)``: absolute positions from an integer tensor with one row a prompt."""
    if positions.is_floating_point() or positions.ndim not in (1, 2):
        raise InputError(
            "A tensor of positions is boolean, or integer of shape (rows,) or (rows, n), got "
            f"{positions.dtype} of shape {tuple(positions.shape)}."
        )
    call.check_rows(len(positions), "A tensor of positions")
    table = positions.to(call.device).reshape(len(positions), -1)[call.rows]
    table = torch.where(table < 0, table + call.prompt_lengths.unsqueeze(-1), table)
    if bool((table < 0).any()):
        raise InputError(
            f"Positions {positions.tolist()} lie before the start of prompts of "
            f"{call.prompt_lengths.tolist()} tokens."
        )
    return table


def _take(call: Call, x: Tensor, targets: Tensor) -> Tensor:
    """``(batch, n, ...)``: the tokens at absolute positions ``targets``: ``(batch, n)``."""
    found = call.positions.unsqueeze(1) == targets.unsqueeze(-1)
    missing = ~found.any(-1)
    if missing.any():
        row, index = missing.nonzero()[0].tolist()
        last = int(call.positions[row].max().clamp(min=0))
        raise InputError(
            f"Row {row} has no token at position {int(targets[row, index])} in this pass: its last "
            f"is at {last}."
        )
    columns = found.byte().argmax(-1).to(x.device)
    return x[torch.arange(call.batch, device=x.device).unsqueeze(-1), columns]
