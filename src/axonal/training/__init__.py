"""The one training loop: the data are a function of the step, so a killed run goes on as it was."""

from axonal.training.batches import Shuffled
from axonal.training.history import History, Observations
from axonal.training.loop import train
from axonal.training.observing import Observe, Patience, Snapshots, logarithmic
from axonal.training.schedules import cosine, warm_up

__all__ = [
    "History",
    "Observations",
    "Observe",
    "Patience",
    "Shuffled",
    "Snapshots",
    "cosine",
    "logarithmic",
    "train",
    "warm_up",
]
