"""Turn a GGUF file into a folder that loads in a second: float32 safetensors, tokenizer, config.

Reading a GGUF file means dequantising every tensor and rebuilding the tokenizer: 20 s for a small
model. It is done once, in a process of its own, so that the caller needs neither torch nor the
memory. The numbers do not change: the logits of the folder equal those of the GGUF file bit for
bit.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from axonal.assets.processes import ProgramError, end_with_the_parent, run
from axonal.assets.store import Progress
from axonal.errors import AxonalError

_STEPS = 4
_STEP = "axonal: step done"


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
    log = gguf.with_suffix(".log")
    what = "convert to safetensors, once"

    def watch() -> None:
        progress(what, log.read_text(encoding="utf-8", errors="replace").count(_STEP), _STEPS)

    command = [sys.executable, "-P", "-m", "axonal.assets.gguf", str(gguf), str(into)]
    try:
        run(command, log, watch, {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"})
    except ProgramError as error:
        lines = [line for line in error.said.splitlines() if line.strip() and line != _STEP]
        last = lines[-1] if lines else "the process was killed, perhaps for lack of memory"
        raise AxonalError(f"{gguf.name} could not be converted: {last[:300]}") from error
    progress(what, _STEPS, _STEPS)


def _convert_here(gguf: Path, into: Path) -> None:
    """Do the work of `convert`, in this process."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    print(_STEP, flush=True)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    print(_STEP, flush=True)
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(into)
    _split_digits_as_declared(gguf, into / "tokenizer.json")
    print(_STEP, flush=True)
    # Quantization is history once the weights are float32, and a model whose configuration still
    # speaks of it cannot be saved.
    vars(model.config).pop("quantization_config", None)
    model.save_pretrained(into, max_shard_size="100GB")


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
    digits = {"type": "Digits", "individual_digits": True}
    tokenizer["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [digits, tokenizer["pre_tokenizer"]],
    }
    text = json.dumps(tokenizer, ensure_ascii=False, indent=2)
    tokenizer_json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    end_with_the_parent()
    _convert_here(Path(sys.argv[1]), Path(sys.argv[2]))
