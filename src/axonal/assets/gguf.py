"""Turn a GGUF file into a folder that loads in a second: float32 safetensors, tokenizer, config.

Reading GGUF means dequantising every tensor and rebuilding the tokenizer, some 30 s for a small
model. It is done once. The numbers do not change: the logits of the folder equal those of the
GGUF file bit for bit.
"""

from __future__ import annotations

import json
from pathlib import Path

from axonal.assets.store import Progress


def convert(gguf: Path, into: Path, progress: Progress) -> None:
    """Write config, tokenizer, generation config and float32 safetensors of a GGUF file.

    Parameters
    ----------
    gguf
        The GGUF file.
    into
        An existing folder; gets what ``transformers`` needs to load the model.
    progress
        Told about the steps.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from axonal.assets.quiet import quiet_transformers

    what = "convert to safetensors (once)"
    with quiet_transformers():
        progress(what, 0, 4)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        progress(what, 1, 4)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        progress(what, 2, 4)
        tokenizer.model_max_length = model.config.max_position_embeddings
        tokenizer.save_pretrained(into)
        _split_digits_as_declared(gguf, into / "tokenizer.json")
        progress(what, 3, 4)
        # The file's quantization is history once the weights are float32; and a config that
        # still says "quantized" is refused by save_pretrained in some versions.
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(into)
        progress(what, 4, 4)


def _split_digits_as_declared(gguf: Path, tokenizer_json: Path) -> None:
    """Give the tokenizer back the digit splitting that its GGUF file declares.

    ``tokenizer.ggml.pre = smollm`` means: single digits first, then the GPT-2 pattern. The
    conversion of ``transformers`` keeps only the second step, so white space before a number
    would be cut differently from what the model was trained on (``"a  1"``).
    """
    from gguf import GGUFReader

    field = GGUFReader(gguf).get_field("tokenizer.ggml.pre")
    if field is None or field.contents() != "smollm":
        return
    tokenizer = json.loads(tokenizer_json.read_text(encoding="utf-8"))
    pattern = tokenizer["pre_tokenizer"]
    if pattern["type"] == "ByteLevel":
        digits = {"type": "Digits", "individual_digits": True}
        tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, pattern]}
        tokenizer_json.write_text(
            json.dumps(tokenizer, ensure_ascii=False, indent=2), encoding="utf-8"
        )
