"""`axonal steer`: fit a map from two prompt files, steer with it, sweep what it does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonal.cli.options import grouped
from axonal.cli.steering_options import Fitting, Loading, Reading, estimator, numbers, rule
from axonal.errors import InputError

if TYPE_CHECKING:
    from axonal.language.steering import SteeringMap

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.command()
@grouped
def fit(
    loading: Loading,
    fitting: Fitting,
    reading: Reading,
    layers: Annotated[
        str, typer.Option(help="Blocks, such as 18 or 14,18; auto searches (needs a readout).")
    ] = "auto",
    map: Annotated[
        str, typer.Option("--map", help="mean-shift, gaussian-subspace, linear-act, leace, ...")
    ] = "gaussian-subspace",
    components: Annotated[
        int | None, typer.Option(help="Directions of the Gaussian map in a subspace.")
    ] = None,
    basis: Annotated[
        str | None,
        typer.Option(help="Of that subspace: pooled, mean_difference, target or fisher."),
    ] = None,
    strength: Annotated[float, typer.Option(help="How far the map goes: 1 is in full.")] = 1.0,
    json: Json = False,
) -> None:
    """Fit a map that makes the source prompts' activations look like the target's, and save it."""
    from axonal.cli import output
    from axonal.language import steering

    readout = reading.readout()
    if layers == "auto" and readout is None:
        raise InputError(
            "--layers auto searches for the layer that changes behaviour most: say how behaviour is "
            "read (--answer and --against, --phrase or --pattern), or name layers, such as --layers 18."
        )
    prompts = reading.prompts(fitting.source), reading.prompts(fitting.target)
    options: dict[str, Any] = {
        "map": estimator(map, components, basis, strength),
        "batch_size": reading.batch_size,
        **fitting.rules(),
    }
    blocks = None if layers == "auto" else numbers(layers, "layers")
    with output.stdout_kept():
        language_model = loading.load()
        table = None
        if blocks is not None:
            fitted = steering.fit(language_model, *prompts, blocks, **options)
        else:
            found = _with_progress(
                "layers", steering.search, language_model, *prompts, readout,
                cap=fitting.cap, texts=fitting.neutral(), **options,
            )  # fmt: skip
            table, fitted = found.table(), found.best.steering
        fitted.save(fitting.to)
    if json:
        summary = {"map": str(fitting.to), **_about(fitted)}
        output.print_json({**summary, "tried": None if table is None else _records(table)})
        return
    console = output.console()
    if table is not None:
        _print_table(table.round(4), 12)
    for site, report in fitted.report.items():
        console.print(f"{site}: {_words(report)}", soft_wrap=True)
    console.print(f"saved to {output.short(fitting.to)}", soft_wrap=True)


@app.command()
@grouped
def apply(
    loading: Loading,
    map: Annotated[Path, typer.Option("--map", help="The folder that steer fit wrote.")],
    prompts: Annotated[Path, typer.Option(help="Prompts to steer, .jsonl or .txt.")],
    reading: Reading,
    strength: Annotated[
        float | None, typer.Option(help="How far; the map's own if left out, negative goes back.")
    ] = None,
    positions: Annotated[
        str | None, typer.Option(help="Tokens that are moved; the map's own rule if left out.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what the model writes after each prompt, by itself and steered."""
    from axonal.cli import output
    from axonal.language import steering

    readout, read = reading.readout(), reading.prompts(prompts)
    options = {"max_new_tokens": reading.new_tokens, "batch_size": reading.batch_size}
    with output.stdout_kept():
        language_model = loading.load()
        loaded = steering.SteeringMap.load(map, model=language_model)

        def results() -> tuple[list[str], list[float]]:
            texts = steering.generate(language_model, read, **options)
            return texts, [] if readout is None else readout(language_model, read).tolist()

        own, before = results()
        chosen = None if positions is None else rule(positions)
        with loaded.on(language_model, strength=strength, positions=chosen):
            steered, after = results()
    rows = [
        {"prompt": item if isinstance(item, str) else [dict(m) for m in item], "own": a, "steered": b}
        for item, a, b in zip(read.items, own, steered, strict=True)
    ]  # fmt: skip
    for row, a, b in zip(rows, before, after, strict=False):
        row |= {"own_behaviour": a, "steered_behaviour": b}
    if json:
        output.print_json(rows)
        return
    console = output.console()
    for row in rows:
        about = {name.replace("_", " "): _one_line(value) for name, value in row.items()}
        console.print(output.labelled(about.pop("prompt"), about))
        console.print()
    if before:
        a, b = (sum(values) / len(values) for values in (before, after))
        console.print(f"behaviour: {a:.4g} by itself, {b:.4g} steered")


@app.command()
@grouped
def sweep(
    loading: Loading,
    fitting: Fitting,
    reading: Reading,
    maps: Annotated[
        str | None, typer.Option(help="Such as mean-shift,gaussian-subspace; all if left out.")
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(help="Such as 9,12,15; six between 20 and 80 % of the depth if left out."),
    ] = None,
    strengths: Annotated[str, typer.Option(help="Such as 0.5,1.")] = "0.5,1",
    write: Annotated[
        int, typer.Option(help="Prompts to write on at every point, to flag degenerate text.")
    ] = 0,
    json: Json = False,
) -> None:
    """Fit and try maps x layers x strengths; report behaviour against damage."""
    from axonal.cli import output
    from axonal.language import steering

    readout = reading.readout()
    if readout is None:
        raise InputError(
            "Say how behaviour is read: --answer and --against, --phrase or --pattern."
        )
    prompts = reading.prompts(fitting.source), reading.prompts(fitting.target)
    named = None if maps is None else {n: estimator(n, None, None, 1.0) for n in maps.split(",")}
    blocks = None if layers is None else numbers(layers, "layers")
    factors = numbers(strengths, "strengths", float)
    with output.stdout_kept():
        data = _with_progress(
            "points", steering.sweep, loading.load(), *prompts, readout,
            maps=named, layers=blocks, strengths=factors, texts=fitting.neutral(), write=write,
            batch_size=reading.batch_size, **fitting.rules(),
        )  # fmt: skip
        folder = steering.write_report(data, fitting.to, cap=fitting.cap)
    table = steering.points(data, cap=fitting.cap)
    if json:
        output.print_json({"folder": str(folder), "points": _records(table)})
        return
    shown = ["map", "layer", "strength", "gain", "kl", "perplexity_ratio", "admitted", "front"]
    _print_table(table[shown].round(4), 15)
    output.console().print(f"report: {output.short(folder / 'report.html')}", soft_wrap=True)


def _with_progress(label: str, function: Any, *args: Any, **options: Any) -> Any:
    from axonal.cli.live import reporting

    with reporting() as reporter:
        reporter.begin(label, None)
        found = function(
            *args, progress=lambda done, total: reporter.advance(label, done, total), **options
        )
        reporter.end(label)
    return found


def _about(fitted: SteeringMap) -> dict[str, Any]:
    origin = fitted.origin
    return {
        "sites": [str(site) for site in fitted.sites],
        "method": origin.method,
        "prompts": origin.prompts,
        "report": dict(fitted.report),
    }


def _records(frame: Any) -> list[dict[str, Any]]:
    """Return the rows of a table for JSON, in which what is missing is null."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _one_line(value: Any) -> str:
    if isinstance(value, list):  # a conversation
        value = " / ".join(f"{message['role']}: {message['content']}" for message in value)
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())


def _words(report: Any) -> str:
    shown = {n: report[n] for n in ("n_source", "n_target", "captured", "distance") if n in report}
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
