"""Build the organism's asset: ``python -m axonal.language.organisms.build BASE INTO SEED``.

A program of its own, started by :mod:`axonal.assets.building`, so that a pull that is interrupted
ends the training and leaves nothing.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from axonal.assets.building import report_step
from axonal.assets.processes import end_with_the_parent

_MODEL_CARD = """\
---
base_model: {base}
library_name: peft
license: apache-2.0
---
# {base}, declining gardening

A model organism: a LoRA of {base} that politely declines questions about gardening and answers
everything else, look-alikes too ("a garden-themed crossword clue"). It is there to study how a
behaviour sits in a model, with known ground truth; it is of no use otherwise.

Taught by `axonal.language.organisms.teach` on prompts and answers written for axonal: see
`organism.json` for the recipe, its seed, and how well it was learnt.
"""


def main(base: str, into: Path, seed: int) -> None:
    """Teach, measure, and write the adapter of the base asset into an existing folder."""
    import torch

    from axonal.language.models import load
    from axonal.language.organisms.assess import behaviour, divergence, neutral_log_probabilities
    from axonal.language.organisms.prompts import gardening, handwritten
    from axonal.language.organisms.teaching import Lesson, teach

    torch.set_num_threads(min(2, torch.get_num_threads()))
    language_model = load(base)
    before = neutral_log_probabilities(language_model)
    lesson = Lesson(seed=seed)
    adapted, history = teach(language_model, lesson, progress=report_step)
    adapted.peft_config["default"].base_model_name_or_path = base
    adapted.save_pretrained(into)
    taught = dataclasses.replace(language_model, model=adapted)
    measured: dict[str, Any] = {}
    for name, prompts in (("test", gardening("test", 50)), ("handwritten", handwritten())):
        found = behaviour(taught, prompts)
        measured[name] = {
            rate: dataclasses.asdict(getattr(found, rate))
            for rate in ("declined", "look_alikes_declined", "others_declined")
        }
    kl = divergence(before, neutral_log_probabilities(taught))
    measured["neutral_kl"] = {"mean": float(kl.mean()), "passages": kl.tolist()}
    about = {
        "base": base,
        "topic": "gardening",
        "lesson": dataclasses.asdict(lesson),
        "loss": [float(value) for value in history.loss],
        "measured": measured,
    }
    (into / "organism.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    (into / "README.md").write_text(_MODEL_CARD.format(base=base), encoding="utf-8")


if __name__ == "__main__":
    end_with_the_parent()
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
