"""What the training loop costs beside the updates themselves: ours, a bare loop, transformers' Trainer.

    python -m benchmarks.training [--steps 400]

The same model, the same batches and the same optimiser, one thread, in one process; the best of
three rounds in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from axonal.training import train

WIDTHS = (16, 256, 1024)
ROWS = 64


class Regression(nn.Module):
    """Two layers with the loss inside, as transformers' Trainer wants it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"loss": (self.net(x) - labels).square().mean()}


def ours(model: Regression, x: Tensor, steps: int) -> None:
    def batches(step: int) -> Tensor:
        return x[step]

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return model(batch, batch)["loss"]

    train(model, loss, batches, steps=steps, optimizer=lambda p: torch.optim.AdamW(p, lr=1e-4))


def bare(model: Regression, x: Tensor, steps: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()
    for step in range(steps):
        optimizer.zero_grad()
        model(x[step], x[step])["loss"].backward()
        optimizer.step()


def trainer(model: Regression, x: Tensor, steps: int) -> None:
    from transformers import Trainer, TrainingArguments
    from transformers.utils import logging

    logging.set_verbosity_error()
    rows = [{"x": row, "labels": row} for row in x[:steps].flatten(0, 1)]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=ROWS,
            max_steps=steps,
            learning_rate=1e-4,
            lr_scheduler_type="constant",
            weight_decay=0.01,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            optim="adamw_torch",
        )
        with contextlib.redirect_stdout(io.StringIO()):  # it prints a summary even so
            Trainer(model, arguments, train_dataset=rows).train()  # pyright: ignore[reportArgumentType]


LOOPS: dict[str, Callable[[Regression, Tensor, int], None]] = {
    "bare loop": bare,
    "axonal": ours,
    "transformers Trainer": trainer,
}


def best_of(width: int, steps: int, rounds: int = 3) -> dict[str, float]:
    """Return seconds a step for each loop."""
    x = torch.randn(steps, ROWS, width, generator=torch.Generator().manual_seed(0))
    seconds = dict.fromkeys(LOOPS, float("inf"))
    for _ in range(rounds):
        for name, loop in LOOPS.items():
            torch.manual_seed(0)
            model = Regression(width)
            started = time.perf_counter()
            loop(model, x, steps)
            seconds[name] = min(seconds[name], (time.perf_counter() - started) / steps)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    print(f"| width | {' | '.join(LOOPS)} |\n|---|{'---|' * len(LOOPS)}")
    best_of(16, 2, rounds=1)  # imports
    for width in WIDTHS:
        seconds = best_of(width, steps)
        base = seconds["bare loop"]
        cells = [f"{1e3 * s:.2f} ms ({s / base:.2f})" for s in seconds.values()]
        print(f"| {width} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
