"""Record, edit and patch the activations of any torch module."""

from axonal.activations.call import Call
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
    MapUnits,
    Project,
    Replace,
    ScaleUnits,
)
from axonal.activations.positions import Positions
from axonal.activations.recording import record, recording
from axonal.activations.site import Site
from axonal.activations.sites import Sites
from axonal.activations.storage import load, save
from axonal.activations.stored import Recording
from axonal.activations.streaming import record_to

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
    "MapUnits",
    "Positions",
    "Project",
    "Recording",
    "Replace",
    "ScaleUnits",
    "Site",
    "Sites",
    "edit",
    "load",
    "record",
    "record_to",
    "recording",
    "save",
]
