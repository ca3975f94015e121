"""Record, edit and patch the activations of any torch module."""

from axonal.activations.call import Call, Positions
from axonal.activations.editing import edit
from axonal.activations.edits import (
    Add,
    Affine,
    Clamp,
    Dictionary,
    Edit,
    Gate,
    Interchange,
    Latents,
    Project,
    Replace,
    ScaleUnits,
)
from axonal.activations.recording import record, recording
from axonal.activations.site import Site
from axonal.activations.sites import Sites

__all__ = [
    "Add",
    "Affine",
    "Call",
    "Clamp",
    "Dictionary",
    "Edit",
    "Gate",
    "Interchange",
    "Latents",
    "Positions",
    "Project",
    "Replace",
    "ScaleUnits",
    "Site",
    "Sites",
    "edit",
    "record",
    "recording",
]
