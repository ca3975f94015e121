"""Steering beside steering-vectors, repeng and pyvene: the same model, prompts and vector, one run.

    python -m benchmarks.steering [--small]

1. Fitting at one block of SmolLM2-135M-Instruct from 32 + 32 review sentences.
2. What a steered call costs while decoding with a cache: on a Llama so small that its own arithmetic
   hardly counts (eight blocks, all steered), beside steering-vectors, and as a share of a decoding step
   of SmolLM2.
3. Whether decoding with a cache gives the logits of decoding without, on a left-padded batch.

Fits are CPU time of this process on one thread, the least of several rounds in which every tool takes
its turn; steps are the lowest decile of the times between tokens. The peers come with
``pip install steering-vectors==0.12.2 repeng==0.4.0 pyvene==0.1.8``; one that is missing is named.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from axonal.language.models import LanguageModel, load
from axonal.language.steering import Prompts, SteeringMap, fit
from axonal.transport import family

BLOCK, NEW_TOKENS = 18, 24
PEERS = {"steering-vectors": "steering_vectors", "repeng": "repeng", "pyvene": "pyvene"}
THINGS = (
    "film novel meal hotel concert play game exhibition album lecture restaurant documentary museum "
    "podcast musical holiday"
)
WORDS = {
    "source": ("dull, slow and badly made", "poor, noisy and far too long"),
    "target": ("bright, lively and well made", "warm, clever and just long enough"),
}


def prompts(which: str) -> Prompts:
    texts = [
        f"Review: The {thing} was {words}.\nAnswer: The review is"
        for words in WORDS[which]
        for thing in THINGS.split()
    ]
    return Prompts(tuple(texts), "plain", name=which)


def there(peer: str) -> bool:
    if importlib.util.find_spec(PEERS[peer]) is None:
        print(f"{peer} is missing: pip install {peer}")
        return False
    return True


def rounds(works: dict[str, Callable[[], Any]], count: int) -> dict[str, float]:
    """Return the least CPU time of each piece of work in seconds; all take turns."""
    best = dict.fromkeys(works, float("inf"))
    for number in range(count + 1):
        for name, work in works.items():
            begun = time.process_time()
            work()
            taken = time.process_time() - begun
            if number:  # the first round warms up
                best[name] = min(best[name], taken)
    return best


# 1. Fitting


def fitting(language: LanguageModel, repeats: int) -> None:
    source, target = prompts("source"), prompts("target")
    works: dict[str, Callable[[], Any]] = {
        f"axonal, {name}": lambda one=one: fit(
            language, source, target, BLOCK, map=one, batch_size=8
        )
        for name, one in family().items()
    }
    pairs = list(zip(target.items, source.items, strict=True))
    if there("steering-vectors"):
        from steering_vectors import train_steering_vector

        works["steering-vectors, mean difference"] = lambda: train_steering_vector(
            language.model, language.tokenizer, pairs, layers=[BLOCK], batch_size=8
        )
    if there("repeng"):
        works["repeng, principal component of differences"] = lambda: _repeng_fit(language, pairs)
    print(f"\nFitting at block {BLOCK}, {len(source)} + {len(target)} prompts: CPU seconds")
    found = rounds(works, repeats)
    base = found["axonal, mean shift"]
    for name, seconds in found.items():
        print(f"  {name:45s} {seconds:7.2f}   {seconds / base:5.2f} x mean shift of axonal")
    if "steering-vectors, mean difference" in works:
        theirs = works["steering-vectors, mean difference"]().layer_activations[BLOCK]
        (one,) = works["axonal, mean shift"]().maps.values()
        ours = (one.basis @ one.bias).float()
        apart = float((ours - theirs).norm() / theirs.norm())
        print(f"  the two mean differences are {apart:.1e} apart, in parts of their length")


def _repeng_fit(language: LanguageModel, pairs: list[Any]) -> Any:
    repeng = _import_repeng()
    entries = [repeng.DatasetEntry(positive=a, negative=b) for a, b in pairs]
    with contextlib.redirect_stderr(io.StringIO()):
        return repeng.ControlVector.train(
            language.model, language.tokenizer, entries, batch_size=8, hidden_layers=[BLOCK]
        )


def _import_repeng() -> Any:
    setattr(np, "float_", np.float64)  # noqa: B010  repeng 0.4.0 still uses the name that NumPy 2 dropped
    import repeng

    return repeng


# 2. and 3. Putting it on

Steered = Callable[..., contextlib.AbstractContextManager[Callable[..., Any]]]
"""Opens steering and gives the ``generate`` to call."""


def small_model() -> Any:
    from transformers import AutoModelForCausalLM, LlamaConfig

    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=8, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=97, pad_token_id=0, bos_token_id=1, eos_token_id=None,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)


def contestants(model: Any, vector: Tensor, blocks: list[int]) -> dict[str, Steered]:
    """Every tool adding one vector to all tokens after the outputs of some blocks."""
    from axonal.activations import Sites

    sites = [Sites.of(model).residual(block) for block in blocks]
    found: dict[str, Steered] = {}

    @contextlib.contextmanager
    def bare() -> Iterator[Any]:
        yield model.generate

    def ours(edits: Any) -> Steered:
        @contextlib.contextmanager
        def opened() -> Iterator[Any]:
            from axonal.activations import edit

            with edit(model, edits):
                yield model.generate

        return opened

    found["(no steering)"] = bare
    width = len(vector)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(64, width, generator=generator), torch.randn(64, width, generator=generator)
    for name, estimator in family().items():
        one = estimator.fit(rows[0], rows[1] + vector).map_
        maps = dict.fromkeys(sites, one)
        steering = SteeringMap(maps, _origin(), "all")  # pyright: ignore[reportArgumentType]
        found[f"axonal, {name}"] = ours(steering.edits())
    if there("steering-vectors"):
        from steering_vectors import SteeringVector

        theirs = SteeringVector(dict.fromkeys(blocks, vector))

        @contextlib.contextmanager
        def vectors() -> Iterator[Any]:
            with theirs.apply(model, min_token_index=0):
                yield model.generate

        found["steering-vectors"] = vectors
    if there("repeng"):
        found["repeng"] = _repeng_opened(model, vector, blocks)
    if there("pyvene"):
        found["pyvene"] = _pyvene_opened(model, vector, blocks)
    return found


def _origin() -> Any:
    from axonal.language.steering.origin import Origin

    return Origin({}, 0, None, "", False, 1)


def _repeng_opened(model: Any, vector: Tensor, blocks: list[int]) -> Steered:
    repeng = _import_repeng()

    @contextlib.contextmanager
    def opened() -> Iterator[Any]:
        wrapped = repeng.ControlModel(model, blocks)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrapped.set_control(
                repeng.ControlVector("llama", dict.fromkeys(blocks, vector.numpy()))
            )
        try:
            yield wrapped.generate
        finally:
            wrapped.unwrap()

    return opened


def _pyvene_opened(model: Any, vector: Tensor, blocks: list[int]) -> Steered:
    import pyvene

    parts = [
        {
            "layer": block,
            "component": "block_output",
            "unit": "pos",
            "intervention_type": pyvene.AdditionIntervention,
            "source_representation": vector,
        }
        for block in blocks
    ]
    wrapped = pyvene.IntervenableModel(pyvene.IntervenableConfig(parts), model=model)

    @contextlib.contextmanager
    def opened() -> Iterator[Any]:
        def generate(
            input_ids: Tensor, attention_mask: Tensor, at: int | None = None, **options: Any
        ) -> Any:
            base = {"input_ids": input_ids, "attention_mask": attention_mask}
            where = None if at is None else {"base": at}
            return wrapped.generate(
                base, unit_locations=where, intervene_on_prompt=True, **options
            )[1]

        yield generate

    return opened


def padded_batch(vocabulary: int, rows: int = 3, columns: int = 9) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, vocabulary, (rows, columns), generator=generator)
    mask = torch.ones_like(ids)
    for row in range(rows):
        mask[row, : 2 * row] = 0
    return {"input_ids": ids.masked_fill(mask == 0, 0), "attention_mask": mask}


def step_seconds(
    tools: dict[str, Steered], batch: Any, options: Any, count: int
) -> dict[str, float]:
    """Return the time of one decoding step under each tool: the lowest decile over all rounds.

    A stopping criterion reads the clock after every token. In a round every tool writes once; the
    first round warms up. The lowest decile, since what else a machine does only adds.
    """
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Clock(StoppingCriteria):
        def __init__(self) -> None:
            self.read: list[float] = []

        def __call__(self, ids: Any, *_: Any, **__: Any) -> Any:
            self.read.append(time.perf_counter())
            return torch.zeros(len(ids), dtype=torch.bool)

    taken: dict[str, list[float]] = {name: [] for name in tools}
    for number in range(count + 1):
        for name, tool in tools.items():
            clock = Clock()
            with tool() as generate:
                generate(**batch, **options, stopping_criteria=StoppingCriteriaList([clock]))
            if number:
                taken[name] += np.diff(clock.read).tolist()
    return {name: float(np.quantile(times, 0.1)) for name, times in taken.items()}


def overhead(repeats: int, language: LanguageModel) -> None:
    model = small_model()
    blocks = list(range(8))
    tools = contestants(model, torch.full((64,), 0.1), blocks)
    batch = {name: x[:1] for name, x in padded_batch(97).items()}
    options = {"max_new_tokens": 48, "do_sample": False, "pad_token_id": 0}
    found = step_seconds(tools, batch, options, 4 * repeats)
    bare = found.pop("(no steering)")
    big_tools = contestants(
        language.model, torch.full((language.model.config.hidden_size,), 0.1), [BLOCK]
    )
    big_batch = {name: x[:1] for name, x in padded_batch(4000).items()}
    big_options = {**options, "max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS}
    big = step_seconds(big_tools, big_batch, big_options, max(2, repeats // 3))
    big_bare = big.pop("(no steering)")
    print(f"\nA steered call in a decoding step of the small Llama (step {1e3 * bare:.2f} ms)")
    print(f"and one in a step of SmolLM2 (step {1e3 * big_bare:.0f} ms)")
    base = found.get("steering-vectors")
    for name, seconds in found.items():
        call = 1e6 * (seconds - bare) / len(blocks)
        share = 100 * (big[name] - big_bare) / big_bare
        ratio = "" if base is None else f"   {(seconds - bare) / (base - bare):5.2f} x theirs"
        print(f"  {name:32s} {call:6.1f} us a call{ratio}   {share:+5.1f} % of a step of SmolLM2")


def cache_identity() -> None:
    model = small_model()
    vector = torch.randn(64, generator=torch.Generator().manual_seed(2)) * 3
    batch = padded_batch(97)
    last = batch["input_ids"].shape[1] - 1
    options = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0, "output_logits": True,
               "return_dict_in_generate": True}  # fmt: skip

    def logits(generate: Any, **more: Any) -> Tensor:
        return torch.stack(generate(**batch, **options, **more).logits)

    print("\nDecoding with a cache == decoding without? (largest difference of a logit)")

    def say(name: str, rule: str, opened: Any, **more: Any) -> None:
        try:
            with opened() as generate, contextlib.redirect_stderr(io.StringIO()):
                pair = [logits(generate, use_cache=use, **more) for use in (True, False)]
        except Exception as error:
            print(f"  {name:18s} {rule:34s} no: {type(error).__name__}: {str(error)[:60]}")
            return
        apart = float((pair[0] - pair[1]).abs().max())
        print(f"  {name:18s} {rule:34s} {'yes' if apart < 1e-4 else 'no'}   {apart:.1e}")

    tools = contestants(model, vector, [4])
    say("axonal", "all tokens", tools["axonal, mean shift"])
    for name in ("steering-vectors", "repeng", "pyvene"):
        if name in tools:
            say(name, "all tokens", tools[name])
    site_map = _ours_from_the_end(model, vector)
    say("axonal", "from the end of the prompt on", site_map)
    if "steering-vectors" in tools:
        from steering_vectors import SteeringVector

        theirs = SteeringVector({4: vector})
        for rule, where in (
            (f"min_token_index={last}", {"min_token_index": last}),
            (f"token_indices=[{last}]", {"token_indices": [last]}),
        ):

            @contextlib.contextmanager
            def opened(where: Any = where) -> Iterator[Any]:
                handle = theirs.patch_activations(model, **where)
                try:
                    yield model.generate
                finally:
                    handle.remove()

            say("steering-vectors", rule, opened)
    if "repeng" in tools:
        print(f"  {'repeng':18s} {'from the end of the prompt on':34s} has no such rule")
    if "pyvene" in tools:
        say("pyvene", f"unit_locations={last}", tools["pyvene"], at=last)


def _ours_from_the_end(model: Any, vector: Tensor) -> Steered:
    from axonal.activations import Sites, edit
    from axonal.transport import AffineMap

    direction = (vector / vector.norm()).double()[:, None]
    one = AffineMap(
        torch.eye(1).double(), vector.norm().double()[None], direction, torch.zeros(64).double()
    )
    steering = SteeringMap({Sites.of(model).residual(4): one}, _origin(), "after_instruction")

    @contextlib.contextmanager
    def opened() -> Iterator[Any]:
        with edit(model, steering.edits()):
            yield model.generate

    return opened


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="one round of everything")
    small = parser.parse_args().small
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning, module="axonal")
    language = load("smollm2-135m-instruct")
    print(f"torch {torch.__version__}, one thread")
    fitting(language, 1 if small else 3)
    overhead(3 if small else 15, language)
    cache_identity()


if __name__ == "__main__":
    main()
