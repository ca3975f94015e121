"""Mean shifts leave as the control vectors that llama.cpp reads."""

from __future__ import annotations

import dataclasses

import gguf
import numpy as np
import pytest

from axonal.activations import Sites
from axonal.errors import AxonalError, InputError
from axonal.language.steering import collect, export_control_vector, fit
from steering_models import NEGATIVE, POSITIVE, tiny


def test_a_control_vector_holds_a_direction_for_each_block(tmp_path) -> None:
    model = tiny()
    steering = fit(model, NEGATIVE, POSITIVE, [1, 2], map="mean shift")
    path = export_control_vector(dataclasses.replace(steering, strength=0.5), tmp_path / "v.gguf")
    reader = gguf.GGUFReader(path)
    found = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    assert sorted(found) == ["direction.1", "direction.2"]
    (site, _) = steering.sites
    means = [collect(model, p, [site])[site].mean(0).numpy() for p in (NEGATIVE, POSITIVE)]
    np.testing.assert_allclose(found["direction.1"], (means[1] - means[0]) / 2, atol=1e-5)
    fields = reader.fields
    assert fields["general.architecture"].contents() == "controlvector"
    assert fields["controlvector.model_hint"].contents() == "llama"
    assert fields["controlvector.layer_count"].contents() == 2


def test_what_a_control_vector_can_not_hold_is_refused(tmp_path) -> None:
    model = tiny()
    for map, layer, words in (
        ("Gaussian, subspace", 1, "can only add"),
        ("Gaussian-AcT", 1, "can only add"),
        ("mean shift", 0, "blocks from 1 on"),
        ("mean shift", Sites.of(model.model).mlp(1), "blocks from 1 on"),
    ):
        with pytest.raises(InputError, match=words):
            export_control_vector(
                fit(model, NEGATIVE, POSITIVE, layer, map=map), tmp_path / "v.gguf"
            )
    (tmp_path / "file").write_text("x")
    with pytest.raises(AxonalError, match="a file is in its way"):
        export_control_vector(
            fit(model, NEGATIVE, POSITIVE, 1, map="mean shift"), tmp_path / "file" / "v.gguf"
        )
