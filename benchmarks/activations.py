"""What recording and editing cost, beside TransformerLens and nnsight on the same weights.

``python -m benchmarks.activations`` does four pieces of work on SmolLM2-135M-Instruct in one
process, on one thread: every tool in turn, round after round, so that a busy machine slows all of
them alike. Time is the CPU time of this process, and a ratio is to the bare model in the same
round. A tool whose result differs from ours is not timed, and that is said. A fifth piece of work,
on a Llama so small that its own arithmetic hardly counts, shows what each tool costs by itself.
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

WIDTH, SCALE, NEW_TOKENS = 576, 5.0, 24
GENERATION = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS, "do_sample": False}


@dataclass
class Contestant:
    """One tool's way to do a piece of work; ``result`` takes from it what all must agree on."""

    name: str
    work: Callable[[], Any]
    result: Callable[[Any], Tensor] = lambda output: output
    seconds: list[float] = field(default_factory=list)


@dataclass
class Setting:
    """What the tools work on: a model, a batch and a vector to add at the block in the middle."""

    model: Any
    tokenizer: Any
    ids: Tensor
    vector: Tensor

    @property
    def blocks(self) -> int:
        return self.model.config.num_hidden_layers

    @property
    def block(self) -> int:
        return self.blocks // 2


def main(rounds: int = 15) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    tools = [axonal, *(peer for peer in (transformer_lens, nnsight) if _installed(peer))]
    generator = torch.Generator().manual_seed(0)
    loaded = load("smollm2-135m-instruct")
    text = "The history of science is the study of the development of science and of knowledge. "
    ids = loaded.tokenizer(text * 4, return_tensors="pt").input_ids[:, :64].repeat(4, 1)
    vector = torch.randn(WIDTH, generator=generator)

    print(f"SmolLM2-135M-Instruct, float32, one thread, torch {torch.__version__}")
    works = [tool(Setting(loaded.model, loaded.tokenizer, ids, vector)) for tool in tools]
    titles = {
        "record": "record the residual stream of all 30 blocks, 4 x 64 tokens",
        "edit": "add a vector at one block, one pass over 4 x 64 tokens",
        "generate": f"add a vector at one block while {NEW_TOKENS} tokens are generated",
        "generate everywhere": "the same at all 30 blocks",
    }
    for kind, title in titles.items():
        _report(title, rounds, [one for work in works for one in work[kind]])
    small = Setting(_small_llama(), loaded.tokenizer, ids[:1, :16], torch.randn(64))
    title = "add a vector at one block of a Llama of 8 blocks and width 64, one pass over 16 tokens"
    _report(title, 20 * rounds, [one for tool in tools for one in tool(small)["edit"]])
    _report_hooks()


def _small_llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


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


def axonal(setting: Setting) -> Work:
    model, sites, vector = setting.model, Sites.of(setting.model), setting.vector
    streams = [sites.residual(block) for block in range(setting.blocks)]
    batch, prompt = {"input_ids": setting.ids, "use_cache": False}, setting.ids[:1, :16]

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

    one, add = [sites.residual(setting.block)], Add(vector, SCALE)
    placed = Add(vector, SCALE, positions=slice(0, None))  # everywhere, but by position
    small = Add(vector, SCALE / setting.blocks)
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


def transformer_lens(setting: Setting) -> Work:
    from transformer_lens.model_bridge import TransformerBridge

    ids, vector = setting.ids, setting.vector
    lens = TransformerBridge.boot_transformers(
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        hf_model=copy.deepcopy(setting.model),
        tokenizer=setting.tokenizer,
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
        return cache[f"blocks.{setting.blocks - 1}.hook_resid_post"]

    name = f"TransformerLens {importlib.metadata.version('transformer-lens')}"
    every = list(range(setting.blocks))
    return {
        "record": [
            Contestant(name, recorded(), last),
            Contestant(f"{name}, stopped", recorded(stop_at_layer=setting.blocks), last),
        ],
        "edit": [Contestant(name, edited(lambda: lens(ids), [setting.block], SCALE))],
        "generate": [
            Contestant(name, edited(generate(True), [setting.block], SCALE)),
            Contestant(f"{name}, cache off", edited(generate(False), [setting.block], SCALE)),
        ],
        "generate everywhere": [
            Contestant(name, edited(generate(True), every, SCALE / setting.blocks)),
        ],
    }


def nnsight(setting: Setting) -> Work:
    import nnsight

    ids, vector, block, share = setting.ids, setting.vector, setting.block, SCALE / setting.blocks
    sight = nnsight.TransformersModel(
        copy.deepcopy(setting.model),
        tokenizer=setting.tokenizer,
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
            layer = sight.model.layers[block]
            layer.output = layer.output + SCALE * vector
            logits = sight.output.logits.save()
        return logits  # noqa: RET504

    def generated() -> Any:
        with sight.generate(ids[:1, :16], **GENERATION) as tracer:
            for _ in tracer.iter[:NEW_TOKENS]:
                layer = sight.model.layers[block]
                layer.output = layer.output + SCALE * vector
            tokens = tracer.result.save()
        return tokens  # noqa: RET504

    def generated_everywhere() -> Any:
        with sight.generate(ids[:1, :16], **GENERATION) as tracer:
            for _ in tracer.iter[:NEW_TOKENS]:
                for layer in sight.model.layers:
                    layer.output = layer.output + share * vector
            tokens = tracer.result.save()
        return tokens  # noqa: RET504

    def last(saved: list[Tensor]) -> Tensor:
        return saved[-1]

    name = f"nnsight {nnsight.__version__}"
    return {
        "record": [
            Contestant(name, recorded, last),
            Contestant(f"{name}, stopped", recorded_and_stopped, last),
        ],
        "edit": [Contestant(name, edited)],
        "generate": [Contestant(name, generated)],
        "generate everywhere": [Contestant(name, generated_everywhere)],
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
