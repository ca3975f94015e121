"""Sentence vectors of MiniLM: mean of the token states, scaled to length one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from axonal import assets


@dataclass(frozen=True)
class MiniLM:
    """all-MiniLM-L6-v2 as an encoder of texts."""

    model: Any
    tokenizer: Any

    @classmethod
    def load(cls, source: str = "minilm-l6-v2") -> MiniLM:
        """Load the encoder from an asset, a folder or a hub id."""
        from transformers import AutoModel, AutoTokenizer

        from axonal.assets.quiet import quiet_transformers

        folder = assets.path(source)
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        return cls(model.eval().requires_grad_(False), tokenizer)

    def __call__(self, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
        """Return unit vectors ``(texts, 384)``."""
        rows = []
        for start in range(0, len(texts), batch_size):
            batch = self.tokenizer(
                list(texts[start : start + batch_size]),
                padding=True,
                truncation=True,
                max_length=256,
                return_tensors="pt",
            )
            with torch.no_grad():
                states = self.model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1).to(states)
            mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            rows.append(torch.nn.functional.normalize(mean, dim=-1).numpy())
        return np.concatenate(rows)
