"""What recording and editing cost, beside TransformerLens and nnsight on the same weights.

``python -m benchmarks.activations`` runs three pieces of work on SmolLM2-135M-Instruct in one
process, on one thread: every tool in turn, round after round, so that a busy machine slows all of
them alike. Time is the CPU time of this process; each tool's ratio is to the bare model in the same
round. A peer whose result differs from ours is not timed, and said so.
"""

from __future__ import annotations

import copy
import importlib.metadata
import importlib.util
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from axonal.activations import (
    Add,
    Affine,
    Dictionary,
    Latents,
    ScaleUnits,
    Site,
    Sites,
    edit,
    record,
)
from axonal.language.models import load

BLOCK, SCALE, NEW_TOKENS = 15, 5.0, 24
PEERS = {"TransformerLens": "transformer-lens", "nnsight": "nnsight"}


@dataclass
class Contestant:
    """One tool's way to do a piece of work; ``check`` turns its result into ours."""

    name: str
    work: Callable[[], Any]
    check: Callable[[Any], Tensor]
    seconds: list[float] = field(default_factory=list)
    note: str = ""


def main(rounds: int = 15) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    language_model = load("smollm2-135m-instruct")
    model, tokenizer = language_model.model, language_model.tokenizer
    vector = torch.randn(576, generator=torch.Generator().manual_seed(0))
    text = "The history of science is the study of the development of science and of knowledge. "
    ids = tokenizer(text * 4, return_tensors="pt").input_ids[:, :64].repeat(4, 1)
    prompt = ids[:1, :16]
    peers = {name: package for name, package in PEERS.items() if _installed(package)}
    for name in PEERS.keys() - peers.keys():
        print(f"{name} is not installed: pip install 'axonal[bench]'", file=sys.stderr)
    lens = _transformer_lens(model, tokenizer) if "TransformerLens" in peers else None
    sight = _nnsight(model, tokenizer) if "nnsight" in peers else None

    print(f"SmolLM2-135M-Instruct, float32, one thread, torch {torch.__version__}", end="")
    print("".join(f", {name} {importlib.metadata.version(peers[name])}" for name in peers))
    _report("record the residual stream of all 30 blocks, 4 x 64 tokens", rounds, [
        *_recording(model, ids),
        *([_lens_recording(lens, ids)] if lens else []),
        *([_sight_recording(sight, ids)] if sight else []),
    ])  # fmt: skip
    _report("add a vector at one block, one pass over 4 x 64 tokens", rounds, [
        *_editing(model, ids, vector),
        *([_lens_editing(lens, ids, vector)] if lens else []),
        *([_sight_editing(sight, ids, vector)] if sight else []),
    ])  # fmt: skip
    _report(f"the same while {NEW_TOKENS} tokens are generated with the cache", rounds, [
        *_generating(model, prompt, vector),
        *(_lens_generating(lens, prompt, vector) if lens else []),
        *([_sight_generating(sight, prompt, vector)] if sight else []),
    ])  # fmt: skip
    _report_hooks()


def _report(title: str, rounds: int, contestants: list[Contestant]) -> None:
    """Run the contestants in turn and print their times and ratios to the first, the bare model."""
    print(f"\n{title}")
    expected = None
    for one in contestants:
        result = one.check(one.work())  # also warms up
        if one.name.startswith("axonal"):
            expected = result if expected is None else expected
        if expected is not None and not torch.allclose(
            result.float(), expected.float(), rtol=1e-3, atol=1e-2
        ):
            one.note = "gives another result: not timed"
    timed = [one for one in contestants if not one.note.endswith("not timed")]
    for _ in range(rounds):
        for one in timed:
            start = time.process_time()
            one.work()
            one.seconds.append(time.process_time() - start)
    print(f"  {'':44}{'min ms':>9}{'median ms':>11}{'ratio (min)':>13}{'ratio (median)':>16}")
    bare = contestants[0].seconds
    for one in contestants:
        if not one.seconds:
            print(f"  {one.name:44}  {one.note}")
            continue
        best, middle = min(one.seconds), statistics.median(one.seconds)
        paired = statistics.median(a / b for a, b in zip(one.seconds, bare, strict=True))
        print(
            f"  {one.name:44}{best * 1e3:9.1f}{middle * 1e3:11.1f}{best / min(bare):13.3f}"
            f"{paired:16.3f}  {one.note}"
        )


# --- axonal ---------------------------------------------------------------------------------------


def _bare(model: Any, ids: Tensor) -> Callable[[], Any]:
    def work() -> Any:
        with torch.no_grad():
            return model(ids, use_cache=False).logits

    return work


def _recording(model: Any, ids: Tensor) -> list[Contestant]:
    sites = [Sites.of(model).residual(block) for block in range(30)]
    batch = {"input_ids": ids, "use_cache": False}

    def last(cache: dict[Site, Tensor]) -> Tensor:
        return cache[sites[-1]]

    return [
        Contestant("bare model", _bare(model, ids), lambda logits: logits),
        Contestant("axonal", lambda: record(model, batch, sites, stop=False), last),
        Contestant("axonal, ending after the last site", lambda: record(model, batch, sites), last),
    ]


def _editing(model: Any, ids: Tensor, vector: Tensor) -> list[Contestant]:
    site, add = Sites.of(model).residual(BLOCK), Add(vector, SCALE)
    bare = _bare(model, ids)

    def work() -> Tensor:
        with edit(model, {site: add}):
            return bare()

    return [
        Contestant("bare model", bare, lambda logits: logits),
        Contestant("axonal", work, lambda logits: logits),
    ]


def _generating(model: Any, prompt: Tensor, vector: Tensor) -> list[Contestant]:
    site = Sites.of(model).residual(BLOCK)
    everywhere = Add(vector, SCALE)
    generated = Add(vector, SCALE, positions=["last", "generated"])
    options = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS, "do_sample": False}

    def bare() -> Tensor:
        return model.generate(prompt, **options)

    def with_edit(add: Add) -> Callable[[], Tensor]:
        def work() -> Tensor:
            with edit(model, {site: add}):
                return bare()

        return work

    by_position = Contestant("axonal, last and generated tokens only", with_edit(generated), _same)
    by_position.check = lambda _: with_edit(everywhere)()  # another piece of work, timed beside it
    return [
        Contestant("bare model", bare, _same),
        Contestant("axonal", with_edit(everywhere), _same),
        by_position,
    ]


def _same(result: Tensor) -> Tensor:
    return result


# --- peers ----------------------------------------------------------------------------------------


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package.replace("-", "_")) is not None


def _transformer_lens(model: Any, tokenizer: Any) -> Any:
    from transformer_lens.model_bridge import TransformerBridge

    return TransformerBridge.boot_transformers(
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        hf_model=copy.deepcopy(model),
        tokenizer=tokenizer,
        device="cpu",
    )


def _lens_recording(lens: Any, ids: Tensor) -> Contestant:
    def work() -> Any:
        with torch.no_grad():
            return lens.run_with_cache(ids, names_filter=lambda n: n.endswith("hook_resid_post"))[1]

    return Contestant("TransformerLens", work, lambda cache: cache["blocks.29.hook_resid_post"])


def _lens_hooks(lens: Any, vector: Tensor) -> Any:
    def add(x: Tensor, hook: Any) -> Tensor:  # noqa: ARG001 - the peer's signature
        return x + SCALE * vector

    return lens.hooks(fwd_hooks=[(f"blocks.{BLOCK}.hook_resid_post", add)])


def _lens_editing(lens: Any, ids: Tensor, vector: Tensor) -> Contestant:
    def work() -> Tensor:
        with torch.no_grad(), _lens_hooks(lens, vector):
            return lens(ids)

    return Contestant("TransformerLens", work, _same)


def _lens_generating(lens: Any, prompt: Tensor, vector: Tensor) -> list[Contestant]:
    def with_cache(use: bool) -> Callable[[], Tensor]:
        def work() -> Tensor:
            with _lens_hooks(lens, vector):
                return lens.generate(
                    prompt,
                    max_new_tokens=NEW_TOKENS,
                    stop_at_eos=False,
                    do_sample=False,
                    use_past_kv_cache=use,
                    return_type="tokens",
                    verbose=False,
                )

        return work

    return [
        Contestant("TransformerLens", with_cache(True), _same),
        Contestant("TransformerLens, without the cache", with_cache(False), _same),
    ]


def _nnsight(model: Any, tokenizer: Any) -> Any:
    from nnsight import TransformersModel

    return TransformersModel(copy.deepcopy(model), tokenizer=tokenizer, task="text-generation")


def _sight_recording(sight: Any, ids: Tensor) -> Contestant:
    import nnsight

    def work() -> Any:
        with torch.no_grad(), sight.trace(ids, use_cache=False):
            saved = nnsight.save([layer.output for layer in sight.model.layers])
        return saved

    return Contestant("nnsight", work, lambda saved: saved[-1])


def _sight_editing(sight: Any, ids: Tensor, vector: Tensor) -> Contestant:
    def work() -> Any:
        with torch.no_grad(), sight.trace(ids, use_cache=False):
            layer = sight.model.layers[BLOCK]
            layer.output = layer.output + SCALE * vector
            logits = sight.output.logits.save()
        return logits

    return Contestant("nnsight", work, _same)


def _sight_generating(sight: Any, prompt: Tensor, vector: Tensor) -> Contestant:
    def work() -> Any:
        with sight.generate(
            prompt, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False
        ) as tracer:
            for _ in tracer.iter[:NEW_TOKENS]:
                layer = sight.model.layers[BLOCK]
                layer.output = layer.output + SCALE * vector
            tokens = tracer.result.save()
        return tokens

    return Contestant("nnsight", work, _same)


# --- one hook -------------------------------------------------------------------------------------


def _report_hooks(calls: int = 2000, rounds: int = 9) -> None:
    """Print what one hooked call adds to a module that does nothing, for one token of width 576."""
    print("\none hooked call, one token of width 576, microseconds above the bare module")
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    basis = torch.linalg.qr(draw(576, 2)).Q
    dictionary = Dictionary(draw(2304, 576), draw(2304, 576))
    edits = {
        "Add": Add(draw(576)),
        "Add at positions": Add(draw(576), positions=slice(0, None)),
        "Add, a strength a row": Add(draw(576), torch.ones(1)),
        "ScaleUnits, 16 units": ScaleUnits(range(16), draw(16)),
        "Affine in 2 dimensions": Affine(draw(2, 2), draw(2), basis),
        "Latents, 26 clamped and 1 added": Latents(
            dictionary, add={100: 1.0}, clamp=dict.fromkeys(range(26), 0.0)
        ),
    }
    model = torch.nn.Sequential(*[torch.nn.Identity() for _ in range(8)])
    x = draw(1, 1, 576)

    def seconds() -> float:
        start = time.process_time()
        for _ in range(calls // 8):
            model(x)
        return (time.process_time() - start) / calls

    with torch.no_grad():
        for name, change in edits.items():
            added = []
            for _ in range(rounds):
                bare = seconds()
                with edit(model, {Site(str(index)): change for index in range(8)}):
                    added.append((seconds() - bare) * 1e6)
            print(f"  {name:44}{min(added):9.1f} min{statistics.median(added):9.1f} median")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
