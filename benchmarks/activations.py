"""What recording and editing cost, beside TransformerLens and nnsight on the same weights.

``python -m benchmarks.activations`` does four pieces of work on SmolLM2-135M-Instruct in one
process, on one thread: every tool in turn, round after round, so that a busy machine slows all of
them alike. Time is the CPU time of this process, and a ratio is to the bare model in the same
round. A tool whose result differs from ours is not timed, and that is said.
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

BLOCKS, BLOCK, WIDTH, SCALE, NEW_TOKENS = 30, 15, 576, 5.0, 24
GENERATION = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS, "do_sample": False}


@dataclass
class Contestant:
    """One tool's way to do a piece of work; ``result`` takes from it what all must agree on."""

    name: str
    work: Callable[[], Any]
    result: Callable[[Any], Tensor] = lambda output: output
    seconds: list[float] = field(default_factory=list)


def main(rounds: int = 15) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    tools = [axonal, *(peer for peer in (transformer_lens, nnsight) if _installed(peer))]
    language_model = load("smollm2-135m-instruct")
    text = "The history of science is the study of the development of science and of knowledge. "
    ids = language_model.tokenizer(text * 4, return_tensors="pt").input_ids[:, :64].repeat(4, 1)
    vector = torch.randn(WIDTH, generator=torch.Generator().manual_seed(0))
    work = [tool(language_model, ids, vector) for tool in tools]
    titles = {
        "record": f"record the residual stream of all {BLOCKS} blocks, 4 x 64 tokens",
        "edit": "add a vector at one block, one pass over 4 x 64 tokens",
        "generate": f"add a vector at one block while {NEW_TOKENS} tokens are generated",
        "generate everywhere": f"the same at all {BLOCKS} blocks",
    }
    for kind, title in titles.items():
        _report(title, rounds, [one for tool in work for one in tool[kind]])
    _report_hooks()


def _report(title: str, rounds: int, contestants: list[Contestant]) -> None:
    """Run the contestants in turn; print their times and ratios to the first, the bare model."""
    print(f"\n{title}")
    print(f"  {'':36}{'min ms':>9}{'median ms':>11}{'ratio of min':>14}{'median ratio':>14}")
    bare, ours = contestants[:2]
    expected = ours.result(ours.work()).float()
    timed = [bare]
    for one in contestants[1:]:
        if torch.allclose(one.result(one.work()).float(), expected, rtol=1e-3, atol=1e-2):
            timed.append(one)
        else:
            print(f"  {one.name:36}gives another result: not timed")
    for _ in range(rounds):
        for one in timed:
            start = time.process_time()
            one.work()
            one.seconds.append(time.process_time() - start)
    for one in timed:
        paired = statistics.median(a / b for a, b in zip(one.seconds, bare.seconds, strict=True))
        best, middle = min(one.seconds), statistics.median(one.seconds)
        print(
            f"  {one.name:36}{best * 1e3:9.1f}{middle * 1e3:11.1f}"
            f"{best / min(bare.seconds):14.3f}{paired:14.3f}"
        )


# --- the tools ------------------------------------------------------------------------------------

Work = dict[str, list[Contestant]]


def axonal(language_model: Any, ids: Tensor, vector: Tensor) -> Work:
    print(f"SmolLM2-135M-Instruct, float32, one thread, torch {torch.__version__}")
    model, sites = language_model.model, Sites.of(language_model.model)
    streams = [sites.residual(block) for block in range(BLOCKS)]
    batch, prompt = {"input_ids": ids, "use_cache": False}, ids[:1, :16]

    def forward() -> Tensor:
        with torch.no_grad():
            return model(**batch).logits

    def generate() -> Tensor:
        return model.generate(prompt, **GENERATION)

    def edited(run: Callable[[], Tensor], sites: list[Site], add: Add) -> Callable[[], Tensor]:
        def work() -> Tensor:
            with edit(model, dict.fromkeys(sites, add)):
                return run()

        return work

    def last(cache: dict[Site, Tensor]) -> Tensor:
        return cache[streams[-1]]

    one, add = [sites.residual(BLOCK)], Add(vector, SCALE)
    placed = Add(vector, SCALE, positions=slice(0, None))  # everywhere, but by position
    small = Add(vector, SCALE / BLOCKS)
    return {
        "record": [
            Contestant("bare model", forward),
            Contestant("axonal", lambda: record(model, batch, streams, stop=False), last),
            Contestant(
                "axonal, stopped after the last", lambda: record(model, batch, streams), last
            ),
        ],
        "edit": [
            Contestant("bare model", forward),
            Contestant("axonal", edited(forward, one, add)),
            Contestant("axonal, by position", edited(forward, one, placed)),
        ],
        "generate": [
            Contestant("bare model", generate),
            Contestant("axonal", edited(generate, one, add)),
            Contestant("axonal, by position", edited(generate, one, placed)),
        ],
        "generate everywhere": [
            Contestant("bare model", generate),
            Contestant("axonal", edited(generate, streams, small)),
        ],
    }


def transformer_lens(language_model: Any, ids: Tensor, vector: Tensor) -> Work:
    from transformer_lens.model_bridge import TransformerBridge

    print(f"TransformerLens {importlib.metadata.version('transformer-lens')}")
    lens = TransformerBridge.boot_transformers(
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        hf_model=copy.deepcopy(language_model.model),
        tokenizer=language_model.tokenizer,
        device="cpu",
    )

    def recorded(**options: Any) -> Callable[[], Any]:
        def work() -> Any:
            with torch.no_grad():
                streams = lambda name: name.endswith("hook_resid_post")  # noqa: E731
                return lens.run_with_cache(ids, names_filter=streams, **options)[1]

        return work

    def edited(run: Callable[[], Tensor], blocks: list[int], scale: float) -> Callable[[], Tensor]:
        def add(x: Tensor, hook: Any) -> Tensor:  # noqa: ARG001 - the peer's signature
            return x + scale * vector

        def work() -> Tensor:
            hooks = [(f"blocks.{block}.hook_resid_post", add) for block in blocks]
            with torch.no_grad(), lens.hooks(fwd_hooks=hooks):
                return run()

        return work

    def generate(cache: bool) -> Callable[[], Tensor]:
        return lambda: lens.generate(
            ids[:1, :16],
            max_new_tokens=NEW_TOKENS,
            stop_at_eos=False,
            do_sample=False,
            use_past_kv_cache=cache,
            return_type="tokens",
            verbose=False,
        )

    def last(cache: Any) -> Tensor:
        return cache[f"blocks.{BLOCKS - 1}.hook_resid_post"]

    name, every = "TransformerLens", list(range(BLOCKS))
    return {
        "record": [
            Contestant(name, recorded(), last),
            Contestant(f"{name}, stopped", recorded(stop_at_layer=BLOCKS), last),
        ],
        "edit": [Contestant(name, edited(lambda: lens(ids), [BLOCK], SCALE))],
        "generate": [
            Contestant(name, edited(generate(True), [BLOCK], SCALE)),
            Contestant(f"{name}, cache off", edited(generate(False), [BLOCK], SCALE)),
        ],
        "generate everywhere": [
            Contestant(name, edited(generate(True), every, SCALE / BLOCKS)),
        ],
    }


def nnsight(language_model: Any, ids: Tensor, vector: Tensor) -> Work:
    import nnsight

    print(f"nnsight {nnsight.__version__}")
    sight = nnsight.TransformersModel(
        copy.deepcopy(language_model.model),
        tokenizer=language_model.tokenizer,
        task="text-generation",
    )

    # nnsight rewrites the source of these blocks, so each is written out.
    def recorded() -> Any:
        with torch.no_grad(), sight.trace(ids, use_cache=False):
            saved = nnsight.save([layer.output for layer in sight.model.layers])
        return saved  # noqa: RET504

    def recorded_and_stopped() -> Any:
        with torch.no_grad(), sight.trace(ids, use_cache=False) as tracer:
            saved = nnsight.save([layer.output for layer in sight.model.layers])
            tracer.stop()
        return saved

    def edited() -> Any:
        with torch.no_grad(), sight.trace(ids, use_cache=False):
            layer = sight.model.layers[BLOCK]
            layer.output = layer.output + SCALE * vector
            logits = sight.output.logits.save()
        return logits  # noqa: RET504

    def generated() -> Any:
        with sight.generate(ids[:1, :16], **GENERATION) as tracer:
            for _ in tracer.iter[:NEW_TOKENS]:
                layer = sight.model.layers[BLOCK]
                layer.output = layer.output + SCALE * vector
            tokens = tracer.result.save()
        return tokens  # noqa: RET504

    def generated_everywhere() -> Any:
        with sight.generate(ids[:1, :16], **GENERATION) as tracer:
            for _ in tracer.iter[:NEW_TOKENS]:
                for layer in sight.model.layers:
                    layer.output = layer.output + SCALE / BLOCKS * vector
            tokens = tracer.result.save()
        return tokens  # noqa: RET504

    def last(saved: list[Tensor]) -> Tensor:
        return saved[-1]

    return {
        "record": [
            Contestant("nnsight", recorded, last),
            Contestant("nnsight, stopped", recorded_and_stopped, last),
        ],
        "edit": [Contestant("nnsight", edited)],
        "generate": [Contestant("nnsight", generated)],
        "generate everywhere": [Contestant("nnsight", generated_everywhere)],
    }


def _installed(tool: Callable[..., Work]) -> bool:
    if importlib.util.find_spec(tool.__name__) is not None:
        return True
    print(f"{tool.__name__} is not installed: pip install 'axonal[bench]'", file=sys.stderr)
    return False


# --- one hook -------------------------------------------------------------------------------------


def _report_hooks(calls: int = 2000, rounds: int = 9) -> None:
    """Print what one hooked call adds to a module that does nothing, for one token."""
    print(f"\none hooked call, one token of width {WIDTH}: microseconds above the bare module")
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    clamped = dict.fromkeys(range(26), 0.0)
    edits = {
        "Add": Add(draw(WIDTH)),
        "Add, by position": Add(draw(WIDTH), positions=slice(0, None)),
        "Add, a strength a row": Add(draw(WIDTH), torch.ones(1)),
        "ScaleUnits, 16 units": ScaleUnits(range(16), draw(16)),
        "Affine in 2 dimensions": Affine(draw(2, 2), draw(2), torch.linalg.qr(draw(WIDTH, 2)).Q),
        "Latents, 1 added and 26 clamped": Latents(
            Dictionary(draw(2304, WIDTH), draw(2304, WIDTH)), add={100: 1.0}, clamp=clamped
        ),
    }
    model = torch.nn.Sequential(*[torch.nn.Identity() for _ in range(8)])
    x = draw(1, 1, WIDTH)

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
            print(f"  {name:36}{min(added):9.1f} min{statistics.median(added):9.1f} median")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
