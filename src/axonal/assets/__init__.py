"""Models and data by name, each with its origin, licence, size and SHA-256.

>>> from axonal import assets
>>> folder = assets.path("smollm2-135m-instruct")   # or a folder of yours, or "owner/name"
"""

from axonal.assets.catalogue import Asset, find, known
from axonal.assets.pulling import Status, path, pull, status, verify
from axonal.assets.store import Progress, home, read_card, silent

__all__ = [
    "Asset",
    "Progress",
    "Status",
    "find",
    "home",
    "known",
    "path",
    "pull",
    "read_card",
    "silent",
    "status",
    "verify",
]
