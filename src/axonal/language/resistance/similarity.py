"""How alike texts are: cosine similarity of sentence embeddings of a small encoder that runs here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from axonal import assets
from axonal.assets.quiet import quiet_transformers


class SentenceEncoder:
    """Sentence embeddings: the mean of the last hidden states over tokens, of unit length.

    Parameters
    ----------
    source
        An asset's name, a folder or a hub id of an encoder of the sentence-transformers kind.
    device
        Where it runs.
    """

    def __init__(
        self, source: str | Path = "minilm-l6-v2", *, device: str | torch.device = "cpu"
    ) -> None:
        from transformers import AutoModel, AutoTokenizer

        folder = assets.path(source)
        with quiet_transformers():
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model: Any = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
        self._model.to(device).eval().requires_grad_(False)
        self.device = torch.device(device)

    def __call__(self, texts: Sequence[str], *, batch: int = 64) -> Tensor:
        """Return ``(texts, width)``, rows of unit length."""
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        found: list[Tensor | None] = [None] * len(texts)
        for start in range(0, len(texts), batch):
            part = order[start : start + batch]
            inputs = self._tokenizer(
                [texts[number] for number in part],
                padding=True,
                truncation=True,
                max_length=256,
                return_tensors="pt",
            ).to(self.device)
            with torch.no_grad():
                hidden = self._model(**inputs).last_hidden_state
            mask = inputs["attention_mask"].unsqueeze(-1)
            mean = (hidden * mask).sum(1) / mask.sum(1)
            for number, row in zip(part, torch.nn.functional.normalize(mean, dim=-1), strict=True):
                found[number] = row.cpu()
        return torch.stack([row for row in found if row is not None])
