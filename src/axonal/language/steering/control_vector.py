"""Write mean shifts as a GGUF control vector, which llama.cpp adds to every token (--control-vector)."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from axonal.errors import InputError
from axonal.files import whole_file
from axonal.language.steering.steering_map import SteeringMap
from axonal.transport import AffineMap

_ARCHITECTURE = "controlvector"


def export_control_vector(steering: SteeringMap, path: str | Path) -> Path:
    """Write a steering map whose maps are mean shifts to a ``.gguf`` file.

    The file holds one direction a block, ``direction.18`` for block 18, already multiplied with the
    map's strength. llama.cpp moves every token by it, the first one too, whatever the map's rule.

    Parameters
    ----------
    steering
        Fitted with ``map="mean shift"`` at outputs of blocks from 1 on; block 0 has no place there.
    path
        The file to write.
    """
    import gguf

    path = Path(path)
    directions = {}
    for site, one in steering.maps.items():
        block = re.search(r"\.(\d+)$", site.path)
        if site.side != "output" or block is None or int(block[1]) == 0:
            raise InputError(
                f"A control vector acts on the outputs of blocks from 1 on, but this map on {site}."
            )
        if not isinstance(one, AffineMap) or not _is_shift(one):
            raise InputError(
                f"At {site} there is no mean shift, and a control vector can only add: fit with "
                "map='mean shift'."
            )
        step = one.bias if one.basis is None else one.basis @ one.bias
        directions[int(block[1])] = (steering.strength * step).float().cpu().numpy()
    hint = steering.origin.model["class"].removesuffix("ForCausalLM").lower()
    with whole_file(path) as temporary:
        writer = gguf.GGUFWriter(temporary, _ARCHITECTURE)
        writer.add_string(f"{_ARCHITECTURE}.model_hint", hint)
        writer.add_uint32(f"{_ARCHITECTURE}.layer_count", len(directions))
        for block, direction in sorted(directions.items()):
            writer.add_tensor(f"direction.{block}", direction)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return path


def _is_shift(one: AffineMap) -> bool:
    return torch.equal(one.matrix, torch.eye(len(one.matrix)).to(one.matrix))
