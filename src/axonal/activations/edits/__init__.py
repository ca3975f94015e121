"""What can be done to an activation: small modules that compose."""

from axonal.activations.edits.base import Edit
from axonal.activations.edits.exchange import Interchange, Replace
from axonal.activations.edits.latents import Dictionary, Latents
from axonal.activations.edits.linear import Add, Affine, Project
from axonal.activations.edits.mapping import MapUnits
from axonal.activations.edits.units import Clamp, Gate, ScaleUnits

__all__ = [
    "Add",
    "Affine",
    "Clamp",
    "Dictionary",
    "Edit",
    "Gate",
    "Interchange",
    "Latents",
    "MapUnits",
    "Project",
    "Replace",
    "ScaleUnits",
]
