"""A monitor of massive activations that any training can carry along.

The same object serves ``axonal.training`` (as an observer's function), a loop of one's own and
Hugging Face's ``Trainer``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from torch import nn

from axonal.activations import Site
from axonal.errors import InputError
from axonal.learning.massive.blocks import token_batch
from axonal.learning.massive.layers import layer_statistics
from axonal.learning.massive.series import aggregate
from axonal.learning.massive.tracking import Table, fingerprint


class Monitor:
    """Measure a model on the same tokens again and again while it learns.

    Parameters
    ----------
    input_ids, attention_mask
        The tokens, ``(sequences, positions)``.
    at
        The steps at which to look; None looks whenever it is called.
    k, sites, batch_size
        As for `layer_statistics`.
    table
        A file that keeps what was seen, so that a resumed training goes on with it.

    Examples
    --------
    >>> monitor = Monitor(ids, at=logarithmic(1000, 40))
    >>> train(model, loss, batches, observers=[Observe("massive", monitor, at=monitor.at)], ...)
    >>> for step in range(1001):        # or in a loop of one's own
    ...     monitor(model, step)
    >>> Trainer(..., callbacks=[monitor.callback()])
    """

    def __init__(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        *,
        at: Collection[int] | None = None,
        k: int = 3,
        sites: Sequence[Site] | None = None,
        batch_size: int = 32,
        table: Path | str | None = None,
    ) -> None:
        self.input_ids, self.attention_mask = token_batch(input_ids, attention_mask)
        self.at = None if at is None else sorted(set(at))
        self.k, self.sites, self.batch_size = k, sites, batch_size
        self._kept = Table(table, fingerprint(self.input_ids, self.attention_mask, k))

    def __call__(self, model: nn.Module, step: int) -> dict[str, list[float]]:
        """Look at the model, if it is time to; return ratio and largest value by layer."""
        if self.at is not None and step not in self.at:
            return {}
        rows = layer_statistics(
            model,
            self.input_ids,
            self.attention_mask,
            k=self.k,
            sites=self.sites,
            batch_size=self.batch_size,
        )
        self._kept.add(step, rows)
        means: Any = rows.groupby("layer")[
            ["top1", "median"]
        ].mean()  # the ratio of means, by layer
        ratio = means["top1"] / means["median"]
        return {"ratio": ratio.tolist(), **{name: means[name].tolist() for name in means.columns}}

    def rows(self) -> pd.DataFrame:
        """Return what was seen, a row for each step, sequence and layer."""
        if not self._kept.steps:
            raise InputError("The monitor has seen nothing yet: call it, or train with it.")
        return self._kept.rows()

    def series(
        self, how: Literal["ratio_of_means", "mean_of_ratios"] = "ratio_of_means"
    ) -> pd.DataFrame:
        """Return what was seen, a row for each step and layer, as `track` does."""
        return aggregate(self.rows(), how)

    def callback(self) -> Any:
        """Return a callback for Hugging Face's ``Trainer``: it looks before the first step too."""
        from transformers import TrainerCallback

        monitor = self

        class Watch(TrainerCallback):
            """Calls the monitor."""

            def on_train_begin(
                self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any
            ) -> None:
                del args, control, rest
                monitor(model, int(state.global_step))

            def on_step_end(
                self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any
            ) -> None:
                del args, control, rest
                monitor(model, int(state.global_step))

        return Watch()
