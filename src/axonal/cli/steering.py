"""`axonal steer`: fit a map from two prompt files, steer with it, sweep what it does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonal.errors import InputError

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel
    from axonal.language.steering import Readout, SteeringMap

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

Model = Annotated[str, typer.Option(help="An asset, a folder or a hub id; see axonal assets.")]
Source = Annotated[
    Path, typer.Option(help="Prompts that are to be moved, .jsonl or .txt, one a line.")
]
Target = Annotated[Path, typer.Option(help="Prompts whose activations they are to have.")]
MapName = Annotated[
    str, typer.Option("--map", help="mean-shift, gaussian-subspace, linear-act, leace, ...")
]
Components = Annotated[
    int | None, typer.Option(help="Directions of the Gaussian map in a subspace.")
]
Basis = Annotated[
    str | None, typer.Option(help="Of that subspace: pooled, mean_difference, target or fisher.")
]
Positions = Annotated[
    str,
    typer.Option(
        help="Tokens it is fitted on: last, prompt, generated, all, after_instruction or an index."
    ),
]
Apply = Annotated[str, typer.Option(help="Tokens that it moves, in the same words.")]
Chat = Annotated[str, typer.Option(help="auto, template or plain: how prompts are put.")]
Answer = Annotated[
    list[str] | None,
    typer.Option(help="Read behaviour as the logit of this answer (' positive'), may be repeated."),
]
Against = Annotated[
    list[str] | None, typer.Option(help="... minus that of this one (' negative').")
]
Phrase = Annotated[
    list[str] | None,
    typer.Option(help="Read behaviour as the rate of texts with one of these phrases."),
]
Pattern = Annotated[
    str | None, typer.Option(help="Read it as the rate of texts that this expression is found in.")
]
NewTokens = Annotated[int, typer.Option(help="Tokens that are written.")]
Cap = Annotated[float, typer.Option(help="The perplexity ratio on neutral texts that is allowed.")]
Texts = Annotated[
    Path | None, typer.Option(help="Neutral texts, one a line; the library's own if left out.")
]
BatchSize = Annotated[int, typer.Option(help="Prompts a forward pass.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...")]
DeviceMap = Annotated[
    str | None, typer.Option(help="Spread the model over several devices: auto, balanced, ...")
]
Dtype = Annotated[str, typer.Option(help="float32, bfloat16 or float16.")]
To = Annotated[Path, typer.Option(help="The folder to write.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.command()
def fit(
    model: Model,
    source: Source,
    target: Target,
    to: To,
    layers: Annotated[
        str, typer.Option(help="Blocks, such as 18 or 14,18; auto searches (needs a readout).")
    ] = "auto",
    map: MapName = "gaussian-subspace",
    components: Components = None,
    basis: Basis = None,
    strength: Annotated[float, typer.Option(help="How far the map goes: 1 is in full.")] = 1.0,
    positions: Positions = "last",
    apply: Apply = "after_instruction",
    chat: Chat = "auto",
    answer: Answer = None,
    against: Against = None,
    phrase: Phrase = None,
    pattern: Pattern = None,
    cap: Cap = 1.1,
    texts: Texts = None,
    new_tokens: NewTokens = 32,
    batch_size: BatchSize = 8,
    device: Device = None,
    device_map: DeviceMap = None,
    dtype: Dtype = "float32",
    json: Json = False,
) -> None:
    """Fit a map that makes the source prompts' activations look like the target's, and save it."""
    from axonal.cli import output
    from axonal.language import steering

    readout = _readout(answer, against, phrase, pattern, new_tokens, batch_size)
    if layers == "auto" and readout is None:
        raise InputError(
            "--layers auto searches for the layer that changes behaviour most: say how behaviour is "
            "read (--answer and --against, --phrase or --pattern), or name layers, such as --layers 18."
        )
    moved = steering.read_prompts(source, chat=_one_of(chat))
    reached = steering.read_prompts(target, chat=_one_of(chat))
    estimator = _estimator(map, components, basis, strength)
    options: dict[str, Any] = {
        "map": estimator,
        "positions": _rule(positions),
        "apply": _rule(apply),
        "batch_size": batch_size,
    }
    with output.stdout_kept():
        language_model = _load(model, device, device_map, dtype)
        if layers != "auto":
            fitted = steering.fit(
                language_model, moved, reached, _numbers(layers, "layers"), **options
            )
            table = None
        else:
            assert readout is not None
            found = _with_progress(
                "layers", steering.search, language_model, moved, reached, readout,
                cap=cap, texts=_texts(texts), **options,
            )  # fmt: skip
            table, fitted = found.table(), found.best.steering
        fitted.save(to)
    summary = {"map": str(to), "sites": [str(site) for site in fitted.sites], **_about(fitted)}
    if json:
        tried = None if table is None else table.astype(object).where(table.notna(), None)
        output.print_json({**summary, "tried": None if tried is None else tried.to_dict("records")})
        return
    console = output.console()
    if table is not None:
        _print_table(table.round(4), 12)
    for site, report in fitted.report.items():
        console.print(f"{site}: {_words(report)}", soft_wrap=True)
    console.print(f"saved to {output.short(to)}", soft_wrap=True)


@app.command()
def apply(
    model: Model,
    map: Annotated[Path, typer.Option("--map", help="The folder that steer fit wrote.")],
    prompts: Annotated[Path, typer.Option(help="Prompts to steer, .jsonl or .txt.")],
    strength: Annotated[
        float | None, typer.Option(help="How far; the map's own if left out, negative goes back.")
    ] = None,
    positions: Annotated[
        str | None, typer.Option(help="Tokens that are moved; the map's own rule if left out.")
    ] = None,
    chat: Chat = "auto",
    answer: Answer = None,
    against: Against = None,
    phrase: Phrase = None,
    pattern: Pattern = None,
    new_tokens: NewTokens = 32,
    batch_size: BatchSize = 8,
    device: Device = None,
    device_map: DeviceMap = None,
    dtype: Dtype = "float32",
    json: Json = False,
) -> None:
    """Show what the model writes after each prompt, by itself and steered."""
    from axonal.cli import output
    from axonal.language import steering

    readout = _readout(answer, against, phrase, pattern, new_tokens, batch_size)
    read = steering.read_prompts(prompts, chat=_one_of(chat))
    with output.stdout_kept():
        language_model = _load(model, device, device_map, dtype)
        loaded = steering.SteeringMap.load(map, model=language_model)
        rule = None if positions is None else _rule(positions)

        def results() -> tuple[list[str], list[float] | None]:
            texts = steering.generate(
                language_model, read, max_new_tokens=new_tokens, batch_size=batch_size
            )
            if readout is None:
                return texts, None
            return texts, readout(language_model, read).tolist()

        own, own_values = results()
        with loaded.on(language_model, strength=strength, positions=rule):
            steered, values = results()
    rows = [
        {
            "prompt": item if isinstance(item, str) else [dict(m) for m in item],
            "own": a,
            "steered": b,
        }
        for item, a, b in zip(read.items, own, steered, strict=True)
    ]
    if own_values is not None and values is not None:
        for row, before, after in zip(rows, own_values, values, strict=True):
            row |= {"own_behaviour": before, "steered_behaviour": after}
    if json:
        output.print_json(rows)
        return
    console = output.console()
    for row in rows:
        about = {name.replace("_", " "): _one_line(value) for name, value in row.items()}
        title = about.pop("prompt")
        console.print(output.labelled(title, about))
        console.print()
    if own_values is not None and values is not None:
        before, after = (sum(v) / len(v) for v in (own_values, values))
        console.print(f"behaviour: {before:.4g} by itself, {after:.4g} steered")


@app.command()
def sweep(
    model: Model,
    source: Source,
    target: Target,
    to: To,
    maps: Annotated[
        str | None, typer.Option(help="Such as mean-shift,gaussian-subspace; all if left out.")
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(help="Such as 9,12,15; six between 20 and 80 % of the depth if left out."),
    ] = None,
    strengths: Annotated[str, typer.Option(help="Such as 0.5,1.")] = "0.5,1",
    positions: Positions = "last",
    apply: Apply = "after_instruction",
    chat: Chat = "auto",
    answer: Answer = None,
    against: Against = None,
    phrase: Phrase = None,
    pattern: Pattern = None,
    write: Annotated[
        int, typer.Option(help="Prompts to write on at every point, to flag degenerate text.")
    ] = 0,
    cap: Cap = 1.1,
    texts: Texts = None,
    new_tokens: NewTokens = 32,
    batch_size: BatchSize = 8,
    device: Device = None,
    device_map: DeviceMap = None,
    dtype: Dtype = "float32",
    json: Json = False,
) -> None:
    """Fit and try maps x layers x strengths; report behaviour against damage."""
    from axonal.cli import output
    from axonal.language import steering

    readout = _readout(answer, against, phrase, pattern, new_tokens, batch_size)
    if readout is None:
        raise InputError(
            "Say how behaviour is read: --answer and --against, --phrase or --pattern."
        )
    moved = steering.read_prompts(source, chat=_one_of(chat))
    reached = steering.read_prompts(target, chat=_one_of(chat))
    named = (
        None
        if maps is None
        else {name: _estimator(name, None, None, 1.0) for name in maps.split(",")}
    )
    blocks = None if layers is None else _numbers(layers, "layers")
    factors = _numbers(strengths, "strengths", float)
    with output.stdout_kept():
        language_model = _load(model, device, device_map, dtype)
        data = _with_progress(
            "points", steering.sweep, language_model, moved, reached, readout,
            maps=named, layers=blocks, strengths=factors, positions=_rule(positions),
            apply=_rule(apply), texts=_texts(texts), write=write, batch_size=batch_size,
        )  # fmt: skip
        folder = steering.write_report(data, to, cap=cap)
    table = steering.points(data, cap=cap)
    if json:
        clean = table.astype(object).where(table.notna(), None)
        output.print_json({"folder": str(folder), "points": clean.to_dict("records")})
        return
    shown = ["map", "layer", "strength", "gain", "kl", "perplexity_ratio", "admitted", "front"]
    _print_table(table[shown].round(4), 15)
    output.console().print(f"report: {output.short(folder / 'report.html')}", soft_wrap=True)


def _load(model: str, device: str | None, device_map: str | None, dtype: str) -> LanguageModel:
    import torch

    from axonal.cli.live import reporting
    from axonal.language.models import load

    kinds = {name: getattr(torch, name) for name in ("float32", "bfloat16", "float16")}
    if dtype not in kinds:
        raise InputError(f"--dtype: expected {', '.join(kinds)}, got {dtype!r}.")
    if device is not None and device_map is not None:
        raise InputError("Give --device or --device-map, not both.")
    with reporting() as reporter:
        reporter.say(f"loading {model}")
        place: dict[str, Any] = {} if device is None else {"device": device}
        return load(model, dtype=kinds[dtype], device_map=device_map, **place)


def _with_progress(label: str, function: Any, *args: Any, **options: Any) -> Any:
    from axonal.cli.live import reporting

    with reporting() as reporter:
        reporter.begin(label, None)
        found = function(
            *args, progress=lambda done, total: reporter.advance(label, done, total), **options
        )
        reporter.end(label)
    return found


def _readout(
    answer: list[str] | None,
    against: list[str] | None,
    phrase: list[str] | None,
    pattern: str | None,
    new_tokens: int,
    batch_size: int,
) -> Readout | None:
    from axonal.language.steering import LogitGap, Rate

    asked = [bool(answer or against), bool(phrase), bool(pattern)]
    if sum(asked) > 1:
        raise InputError(
            "Read behaviour in one way: --answer and --against, --phrase or --pattern."
        )
    if answer or against:
        if not (answer and against):
            raise InputError("A logit gap needs both --answer and --against.")
        return LogitGap(answer, against, batch_size)
    if phrase:
        return Rate(phrase, new_tokens, batch_size)
    if pattern:
        try:
            return Rate(re.compile(pattern), new_tokens, batch_size)
        except re.error as error:
            raise InputError(f"--pattern is no regular expression: {error}.") from None
    return None


def _estimator(name: str, components: int | None, basis: str | None, strength: float) -> Any:
    from axonal.language.steering.fitting import estimator_of

    estimator = estimator_of(name.strip())
    given = {"n_components": components, "basis": basis}
    asked = {name: value for name, value in given.items() if value is not None}
    if asked and "n_components" not in estimator.get_params():
        raise InputError(f"--components and --basis belong to Gaussian maps, not to {name}.")
    return estimator.set_params(strength=strength, **asked)


def _rule(words: str) -> Any:
    """Read a rule for tokens: a name, an index, several with commas, or a slice 2: of positions."""
    parts = [part.strip() for part in words.split(",")]
    try:
        read = [_slice(p) if ":" in p else int(p) if p.lstrip("-").isdigit() else p for p in parts]
    except ValueError:
        raise InputError(f"{words!r} is no rule for tokens, such as last, -2 or 2:.") from None
    return read[0] if len(read) == 1 else read


def _slice(words: str) -> slice:
    return slice(*(int(end) if end.strip() else None for end in words.split(":")))


def _numbers(words: str, name: str, kind: Any = int) -> list[Any]:
    try:
        return [kind(part) for part in words.split(",")]
    except ValueError:
        raise InputError(f"--{name}: expected numbers with commas, got {words!r}.") from None


def _one_of(chat: str) -> Any:
    if chat not in ("auto", "template", "plain"):
        raise InputError(f"--chat: expected auto, template or plain, got {chat!r}.")
    return chat


def _texts(path: Path | None) -> list[str] | None:
    from axonal.language.steering import read_prompts

    return None if path is None else [str(text) for text in read_prompts(path, chat="plain").items]


def _one_line(value: Any) -> str:
    if isinstance(value, list):  # a conversation
        value = " / ".join(f"{message['role']}: {message['content']}" for message in value)
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())


def _about(fitted: SteeringMap) -> dict[str, Any]:
    origin = fitted.origin
    return {"method": origin.method, "prompts": origin.prompts, "report": dict(fitted.report)}


def _words(report: Any) -> str:
    shown = {
        name: report[name]
        for name in ("n_source", "n_target", "captured", "distance")
        if name in report
    }
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in shown.items()
    )


def _print_table(frame: Any, limit: int) -> None:
    from axonal.cli import output

    table = output.table(
        *(str(name).replace("perplexity_ratio", "perplexity") for name in frame.columns)
    )
    for row in frame.head(limit).itertuples(index=False):
        table.add_row(*("" if value is None or value != value else str(value) for value in row))
    console = output.console()
    console.print(table)
    if len(frame) > limit:
        console.print(f"... and {len(frame) - limit} more")
