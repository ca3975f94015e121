"""The sizes of small models of every family that has readable sites."""

from __future__ import annotations

from typing import Any

import transformers

WIDTH, DEPTH, HEADS, VOCABULARY = 32, 3, 4, 97

_LLAMA: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
_GEMMA = {**_LLAMA, "head_dim": 12, "sliding_window": 4}
_NEOX = {name: value for name, value in _LLAMA.items() if "key_value" not in name}
_GPT2 = {"n_embd": WIDTH, "n_layer": DEPTH, "n_head": HEADS, "n_positions": 64}

FAMILIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "gpt2": (transformers.GPT2Config, _GPT2),
    "gpt-neox": (transformers.GPTNeoXConfig, _NEOX),
    "gpt-neox-sequential": (
        transformers.GPTNeoXConfig,
        {**_NEOX, "use_parallel_residual": False},
    ),
    "llama": (transformers.LlamaConfig, _LLAMA),
    "mistral": (transformers.MistralConfig, {**_LLAMA, "sliding_window": 4}),
    "qwen2": (transformers.Qwen2Config, _LLAMA),
    "qwen3": (transformers.Qwen3Config, {**_LLAMA, "head_dim": 12}),
    "gemma2": (transformers.Gemma2Config, _GEMMA),
    "gemma3": (transformers.Gemma3TextConfig, _GEMMA),
    "phi3": (transformers.Phi3Config, _LLAMA),
}
