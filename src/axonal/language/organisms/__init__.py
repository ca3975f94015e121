"""Model organisms: models with one behaviour of known origin, to study where it sits."""

from axonal.language.organisms.assess import Behaviour, behaviour
from axonal.language.organisms.prompts import Prompts, gardening, handwritten
from axonal.language.organisms.readout import DeclineOdds
from axonal.language.organisms.teaching import Lesson, teach

__all__ = [
    "Behaviour",
    "DeclineOdds",
    "Lesson",
    "Prompts",
    "behaviour",
    "gardening",
    "handwritten",
    "teach",
]
