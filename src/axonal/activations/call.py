"""One call of a model: which token sits in which column, whatever the padding and the cache.

The absolute position of a token is the number of real tokens before it in its own row. It is read
from the attention mask and the length of the key-value cache, never from the tensor's own axis,
which starts anew at every decoding step and counts padding. So position 0 is the first real token
of a row under left and right padding alike, and a token keeps its position whether its prefix is
recomputed or cached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor

from axonal.errors import InputError, nearest

Positions: TypeAlias = (
    "int | str | slice | Sequence[int | str] | Tensor | Callable[[Call], Tensor] | None"
)
"""Which tokens; see :meth:`Call.select`."""

RULES = ("all", "prompt", "last", "generated")


@dataclass(frozen=True, eq=False)
class Call:
    """The tokens of one forward pass.

    Parameters
    ----------
    batch, length
        Rows and columns of this pass; with a cache, a decoding step has one column.
    past
        Columns that the cache already holds.
    prompt_columns
        Columns of the prompt, padding included; later columns were generated.
    mask
        ``(batch, past + length)``, True at real tokens; None when there is no padding.
    ids
        ``(batch, length)`` token ids; None when the model was called with embeddings.
    copies
        Rows of this pass for each row of the prompt batch (beams, returned sequences).
    device
        Where the tensors of this pass live.
    """

    batch: int
    length: int
    past: int = 0
    prompt_columns: int = 0
    mask: Tensor | None = None
    ids: Tensor | None = None
    copies: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def of_tensor(cls, x: Tensor) -> Call:
        """Read rows and columns off a tensor ``(batch, positions, ...)`` that has no tokens."""
        length = x.shape[1] if x.ndim > 1 else 1
        return cls(x.shape[0], length, prompt_columns=length, device=x.device)

    @cached_property
    def columns(self) -> Tensor:
        """``(length,)``: the column of each token of this pass in the padded batch."""
        return torch.arange(self.past, self.past + self.length, device=self.device)

    @cached_property
    def positions(self) -> Tensor:
        """``(batch, length)``: the absolute position of each token, -1 at padding."""
        if self.mask is None:
            return self.columns.expand(self.batch, -1)
        counted = self.mask.cumsum(-1) - 1
        return counted.masked_fill(~self.mask, -1)[:, self.past :]

    @cached_property
    def prompt_lengths(self) -> Tensor:
        """``(batch,)``: the real tokens of each row's prompt."""
        if self.mask is None:
            return torch.full((self.batch,), self.prompt_columns, device=self.device)
        # What a chunked prompt still holds back is real: only a left-padded one can be chunked.
        to_come = max(0, self.prompt_columns - self.past - self.length)
        return self.mask[:, : self.prompt_columns].sum(-1) + to_come

    @cached_property
    def rows(self) -> Tensor:
        """``(batch,)``: the row of the prompt batch that each row of this pass belongs to."""
        return torch.arange(self.batch, device=self.device) // self.copies

    def select(self, positions: Positions) -> bool | Tensor:
        """Say which tokens of this pass are meant: ``(batch, length)``, or True or False for all.

        Parameters
        ----------
        positions
            - None: every entry, padding too.
            - ``"all"``: every real token; ``"prompt"``: those of the prompt; ``"last"``: the last
              real token of the prompt; ``"generated"``: those after the prompt.
            - an integer: the absolute position; negative counts from the end of the prompt.
            - a slice of absolute positions; an open end includes what is generated.
            - a list of integers and rules: their union.
            - an integer tensor ``(rows,)`` or ``(rows, n)``: positions of each row.
            - a boolean tensor ``(columns,)`` or ``(rows, columns)``: a mask laid out as the padded
              prompt batch is; columns beyond it are not meant.
            - a function of this call that returns a boolean tensor ``(batch, length)``.
        """
        if positions is None:
            return True
        if isinstance(positions, str):
            return self._select_rule(positions)
        if isinstance(positions, Tensor):
            if positions.dtype == torch.bool:
                return self._select_mask(positions)
            return (self.positions.unsqueeze(-1) == self._targets(positions).unsqueeze(1)).any(-1)
        if isinstance(positions, slice):
            return self._select_slice(positions)
        if isinstance(positions, int) and not isinstance(positions, bool):
            if positions < 0 and self.past >= self.prompt_columns:
                return False  # it counts from the end of the prompt, which is behind us
            return self.positions == self._target(positions).unsqueeze(-1)
        if callable(positions):
            return self._checked(positions(self))
        if isinstance(positions, Sequence):
            return self._union([self.select(part) for part in positions])
        raise InputError(
            f"positions is None, an integer, a rule ({', '.join(RULES)}), a slice, a list, a tensor "
            f"or a function, got {positions!r}."
        )

    def gather(self, x: Tensor, positions: Positions) -> Tensor:
        """Take the activations of the named tokens out of ``x``: ``(batch, length, ...)``.

        Returns
        -------
        Tensor
            ``x`` itself for None; ``(batch, ...)`` for an integer, ``"last"`` or one position a
            row; ``(batch, n, ...)`` for a list, a slice or n positions a row; and
            ``(tokens, ...)``, row after row, for the other rules, masks and functions.
        """
        if positions is None:
            return x
        if positions == "last":
            positions = -1
        if isinstance(positions, int):
            return self._take(x, self._target(positions).unsqueeze(-1)).squeeze(1)
        if isinstance(positions, Tensor) and positions.dtype != torch.bool:
            taken = self._take(x, self._targets(positions))
            return taken.squeeze(1) if positions.ndim == 1 else taken
        if isinstance(positions, list | tuple):
            indices = [position for position in positions if isinstance(position, int)]
            if len(indices) < len(positions):
                raise InputError(
                    f"A list of positions to record holds integers only, got {list(positions)!r}."
                )
            return self._take(x, torch.stack([self._target(p) for p in indices], dim=-1))
        chosen = self.select(positions)
        if isinstance(chosen, bool):
            chosen = torch.full((self.batch, self.length), chosen, device=self.device)
        self._check_shape(x)
        if not isinstance(positions, slice):
            return x[chosen.to(x.device)]
        counts = chosen.sum(-1)
        if (counts != counts[0]).any():
            raise InputError(
                f"The slice {positions} holds {counts.tolist()} tokens in the rows of this batch; "
                "a recorded slice must hold equally many. Use a boolean mask for a flat result."
            )
        return x[chosen.to(x.device)].unflatten(0, (self.batch, -1))

    def _select_rule(self, rule: str) -> bool | Tensor:
        past_prompt = self.past >= self.prompt_columns
        if rule == "last":
            return self.select(-1)
        if rule == "prompt":
            if past_prompt:
                return False
            return self._real() & (self.columns < self.prompt_columns)
        if rule == "generated":
            if past_prompt:
                return True
            if self.past + self.length <= self.prompt_columns:
                return False
            return self._real() & (self.columns >= self.prompt_columns)
        if rule == "all":
            return True if self.mask is None or past_prompt else self._real()
        raise InputError(f"There is no positions rule {rule!r}; {nearest(rule, RULES)}")

    def _real(self) -> Tensor:
        return self.positions >= 0

    def _target(self, position: int) -> Tensor:
        """``(batch,)``: the absolute position that an index means in each row."""
        lengths = self.prompt_lengths
        if position < 0:
            if int(lengths.min()) < -position:
                raise InputError(
                    f"Position {position} lies before the start of a prompt of "
                    f"{int(lengths.min())} tokens (row {int(lengths.argmin())})."
                )
            return lengths + position
        return torch.full_like(lengths, position)

    def _targets(self, positions: Tensor) -> Tensor:
        """``(batch, n)``: absolute positions from an integer tensor, one row for each prompt."""
        if positions.is_floating_point() or positions.ndim not in (1, 2):
            raise InputError(
                "A tensor of positions is boolean, or integer of shape (rows,) or (rows, n), got "
                f"{positions.dtype} of shape {tuple(positions.shape)}."
            )
        self.check_rows(len(positions), "positions")
        table = positions.to(self.device).reshape(len(positions), -1)[self.rows]
        return torch.where(table < 0, table + self.prompt_lengths.unsqueeze(-1), table)

    def _select_slice(self, part: slice) -> Tensor:
        step = 1 if part.step is None else part.step
        if step < 1:
            raise InputError(f"A slice of positions has a positive step, got {part}.")
        start = 0 if part.start is None else part.start
        lower = (self.prompt_lengths + start).clamp(min=0) if start < 0 else start
        lower = lower.unsqueeze(-1) if isinstance(lower, Tensor) else lower
        chosen = self._real() & (self.positions >= lower) & ((self.positions - lower) % step == 0)
        if part.stop is None:
            return chosen
        upper = (self.prompt_lengths + part.stop).unsqueeze(-1) if part.stop < 0 else part.stop
        return chosen & (self.positions < upper)

    def _select_mask(self, mask: Tensor) -> bool | Tensor:
        if mask.ndim == 2:
            self.check_rows(len(mask), "the mask of positions")
            mask = mask.to(self.device)[self.rows]
        elif mask.ndim == 1:
            mask = mask.to(self.device).expand(self.batch, -1)
        else:
            raise InputError(
                "A mask of positions has shape (columns,) or (rows, columns), got "
                f"{tuple(mask.shape)}."
            )
        width = mask.shape[1]
        if self.past >= width:
            return False
        mask = mask[:, self.past : self.past + self.length]
        return self._real() & torch.nn.functional.pad(mask, (0, self.length - mask.shape[1]))

    def _checked(self, chosen: object) -> Tensor:
        if (
            not isinstance(chosen, Tensor)
            or chosen.dtype != torch.bool
            or chosen.shape != (self.batch, self.length)
        ):
            came = tuple(chosen.shape) if isinstance(chosen, Tensor) else type(chosen).__name__
            raise InputError(
                "A function of positions returns a boolean tensor of shape "
                f"{(self.batch, self.length)}, got {came}."
            )
        return chosen

    def _union(self, parts: list[bool | Tensor]) -> bool | Tensor:
        union: bool | Tensor = False
        for part in parts:
            union = union | part
        return union

    def check_rows(self, rows: int, what: str) -> None:
        """Raise when something given row by row does not have the rows of the prompt batch."""
        expected = self.batch // self.copies
        if rows != expected:
            raise InputError(f"{what} is given for {rows} rows, but the batch has {expected}.")

    def _take(self, x: Tensor, targets: Tensor) -> Tensor:
        """``(batch, n, ...)``: the tokens at absolute positions ``targets``: ``(batch, n)``."""
        self._check_shape(x)
        found = self.positions.unsqueeze(1) == targets.unsqueeze(-1)
        missing = ~found.any(-1)
        if missing.any():
            row, index = missing.nonzero()[0].tolist()
            raise InputError(
                f"Row {row} has no token at position {int(targets[row, index])}: its tokens in this "
                f"pass are at {int(self.positions[row].max().clamp(min=0))} and before."
            )
        columns = found.to(torch.uint8).argmax(-1).to(x.device)
        return x[torch.arange(len(columns), device=x.device).unsqueeze(-1), columns]

    def _check_shape(self, x: Tensor) -> None:
        if x.shape[:2] != (self.batch, self.length):
            raise InputError(
                f"Positions name tokens, but this site carries {tuple(x.shape)} where (batch, "
                f"positions, ...) would begin with {(self.batch, self.length)}: use positions=None."
            )

    def spread(self, chosen: Tensor, x: Tensor) -> Tensor:
        """Give ``(batch, length)`` the trailing dimensions that it needs to broadcast over ``x``."""
        self._check_shape(x)
        return chosen.to(x.device).view(self.batch, self.length, *(1,) * (x.ndim - 2))
