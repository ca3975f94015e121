"""A steering map: fitted maps at sites of one model, put on, saved, loaded, and refused elsewhere."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from axonal.activations import Edit, Positions, Site, Sites, edit
from axonal.errors import InputError
from axonal.files import sha256, whole_folder, write_tensors
from axonal.language.steering.origin import Origin
from axonal.language.steering.where import Where
from axonal.transport import AffineMap, UnitMap
from axonal.transport.affine import Map

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel

_CARD, _TENSORS = "card.json", "maps.safetensors"
_KINDS: dict[str, type] = {"AffineMap": AffineMap, "UnitMap": UnitMap}


@dataclass(frozen=True, eq=False)
class SteeringMap:
    """Maps fitted at sites of one model.

    Parameters
    ----------
    maps
        The fitted map of each site.
    origin
        The model, the tokenizer and the prompts that they were fitted with.
    apply
        Which tokens are moved, see :mod:`axonal.language.steering.where`.
    strength
        How far: 1 is the map in full.
    report
        What the fit found at each site (keyed by the module's path).
    """

    maps: Mapping[Site, Map]
    origin: Origin
    apply: Positions = "after_instruction"
    strength: float = 1.0
    report: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.maps:
            raise InputError("A steering map has at least one site.")
        Where(self.apply, self.origin.tail)

    @property
    def sites(self) -> list[Site]:
        """Where it acts."""
        return list(self.maps)

    def edits(
        self,
        *,
        strength: float | Tensor | None = None,
        positions: Positions = None,
        **limits: Any,
    ) -> dict[Site, Edit]:
        """Return the edits, for :func:`axonal.activations.edit`; nothing is checked here.

        Parameters
        ----------
        strength
            A number, or a tensor of one a row; the map's own by default.
        positions
            Which tokens; the map's own rule by default.
        limits
            ``rows`` and ``tokens``, as for every edit.
        """
        where = Where(self.apply if positions is None else positions, self.origin.tail)
        given = self.strength if strength is None else strength
        return {
            site: one.edit(strength=given, positions=where, **limits)  # pyright: ignore[reportArgumentType]
            for site, one in self.maps.items()
        }

    @contextlib.contextmanager
    def on(
        self,
        model: LanguageModel | nn.Module,
        *,
        strength: float | Tensor | None = None,
        positions: Positions = None,
        prompt_length: int | None = None,
        **limits: Any,
    ) -> Iterator[None]:
        """Steer the model inside the context; another model than the map's own is refused.

        Parameters
        ----------
        model
            The model, or the pair with its tokenizer, which is then checked too.
        strength, positions, limits
            See :meth:`edits`.
        prompt_length
            See :func:`axonal.activations.edit`.
        """
        self.origin.require(model, "This map was")
        network = model if isinstance(model, nn.Module) else model.model
        edits = self.edits(strength=strength, positions=positions, **limits)
        for site, one in edits.items():  # once, and not at every token
            one.to(_place(site.module(network)))
        with edit(network, edits, prompt_length=prompt_length):
            yield

    def everywhere(self, model: LanguageModel | nn.Module) -> SteeringMap:
        """Return the map of the only site at every block's input, attention and MLP, on all tokens.

        Meant for directional ablation, whose direction no part of the model can then write
        (Arditi et al., arXiv:2406.11717).
        """
        if len(self.maps) != 1:
            raise InputError(f"everywhere: expected a map of one site, got {len(self.maps)}.")
        (one,) = self.maps.values()
        named = Sites.of(model if isinstance(model, nn.Module) else model.model)
        places = (named.residual_pre, named.attention, named.mlp)
        sites = [place(block) for block in range(named.blocks) for place in places]
        return dataclasses.replace(self, maps=dict.fromkeys(sites, one), apply="all")

    def save(self, path: str | Path) -> Path:
        """Write the map to the folder ``path``, all or nothing; a map saved there is replaced."""
        path = Path(path)
        tensors: dict[str, Tensor] = {}
        listed = []
        for number, (site, one) in enumerate(self.maps.items()):
            parts = {f.name: getattr(one, f.name) for f in dataclasses.fields(one)}  # pyright: ignore[reportArgumentType]
            present = {name: value for name, value in parts.items() if value is not None}
            tensors |= {f"{number}.{name}": x.cpu() for name, x in present.items()}
            listed.append(
                {
                    "site": dataclasses.asdict(site),
                    "kind": type(one).__name__,
                    "tensors": sorted(present),
                }
            )
        card = {
            "format": 1,
            "apply": _write_rule(self.apply),
            "strength": self.strength,
            "origin": dataclasses.asdict(self.origin),
            "maps": listed,
            "report": self.report,
        }
        with whole_folder(path, holds=(_CARD, _TENSORS), what="steering map") as folder:
            write_tensors(tensors, folder / _TENSORS)
            card["sha256"] = sha256(folder / _TENSORS)
            (folder / _CARD).write_text(json.dumps(card, indent=2), encoding="utf-8")
        return path

    @classmethod
    def load(
        cls, path: str | Path, *, model: LanguageModel | nn.Module | None = None
    ) -> SteeringMap:
        """Read a map back.

        Parameters
        ----------
        path
            The folder that :meth:`save` wrote.
        model
            Refuse a map that was fitted with another model at once, not only when it is put on.
        """
        path = Path(path)
        try:
            card = json.loads((path / _CARD).read_text(encoding="utf-8"))
            if card["format"] != 1:
                raise InputError(f"{path} is of format {card['format']}: update axonal to read it.")
            if card["sha256"] != sha256(path / _TENSORS):
                raise InputError(f"{path / _TENSORS} is not the file that {_CARD} belongs to.")
            tensors = load_file(path / _TENSORS)
            maps: dict[Site, Map] = {}
            for number, entry in enumerate(card["maps"]):
                kind = _KINDS[entry["kind"]]
                names = [f.name for f in dataclasses.fields(kind)]
                parts = {name: tensors.get(f"{number}.{name}") for name in names}
                maps[Site(**entry["site"])] = kind(**parts)
            loaded = cls(
                maps,
                Origin(**card["origin"]),
                _read_rule(card["apply"]),
                card["strength"],
                card["report"],
            )
        except FileNotFoundError as error:
            raise InputError(
                f"{path} holds no steering map: there is no {error.filename}."
            ) from None
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
            raise InputError(f"{path} holds no readable steering map ({error!r}).") from error
        if model is not None:
            loaded.origin.require(model, f"The map in {path} was")
        return loaded


def _place(module: nn.Module) -> torch.device:
    """Where a module computes, as far as its weights tell."""
    places = (parameter.device for parameter in module.parameters())
    return next((place for place in places if place.type != "meta"), torch.device("cpu"))


def _write_rule(rule: Positions) -> Any:
    if isinstance(rule, str | int):
        return rule
    if isinstance(rule, slice):
        return {"slice": [rule.start, rule.stop, rule.step]}
    if isinstance(rule, list | tuple):
        return [_write_rule(part) for part in rule]
    raise InputError(
        f"apply={rule!r} belongs to one batch, so it can't be saved: save a rule, an index or a "
        "slice, and give masks to on(positions=...)."
    )


def _read_rule(written: Any) -> Any:
    if isinstance(written, dict):
        return slice(*written["slice"])
    return [_read_rule(part) for part in written] if isinstance(written, list) else written
