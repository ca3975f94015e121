"""`axonal massive`: scan a model's massive activations, track a training, fit its curves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonal.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Texts = Annotated[
    Path | None,
    typer.Option(help="A text file that windows are cut from; Python's help topics if left out."),
]
Sequences = Annotated[int, typer.Option(min=1, help="Windows of text.")]
Tokens = Annotated[int, typer.Option(min=8, help="Tokens of each.")]
Bos = Annotated[bool, typer.Option(help="Put the tokenizer's first token before each window.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")]


@app.command()
def scan(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="An asset, a folder or a hub id.")],
    texts: Texts = None,
    sequences: Sequences = 10,
    tokens: Tokens = 256,
    bos: Bos = False,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Show every layer's largest activation beside its median, and where it sits."""
    from axonal.cli import output
    from axonal.language.models import load
    from axonal.learning.massive import aggregate, layer_statistics

    with output.stdout_kept():
        language = load(model, device=device)
        ids = _windows(language.tokenizer, texts, sequences, tokens, bos)
        series = aggregate(layer_statistics(language.model, ids, embeddings=True))
    if json:
        output.print_json({"model": model, "layers": _records(series)})
        return
    table = output.table("layer", "largest", "median", "ratio", "of null", "token", "channel", "")
    for row in series.to_dict("records"):
        table.add_row(
            str(row["layer"]),
            f"{row['top1']:,.4g}",
            f"{row['median']:.3g}",
            f"{row['ratio']:,.1f}",
            f"{row['over_null']:,.1f}",
            str(row["token"]),
            f"{row['channel']} ({row['agreement']:.0%})",
            "massive" if row["massive"] > 0.5 else "",
        )
    output.console().print(table)
    output.console().print(
        "Layer 0 enters the first block. 'of null': in units of what Gaussian numbers give; "
        "'massive': above 100 and 1000 medians."
    )


@app.command()
def track(
    checkpoints: Annotated[
        str, typer.Option(help="A folder of checkpoint-STEP folders, or a hub id with --revisions.")
    ],
    to: Annotated[Path, typer.Option(help="The table to write, .csv.")],
    revisions: Annotated[
        str | None, typer.Option(help="Of a hub id, such as step0,step1000,step2000.")
    ] = None,
    texts: Texts = None,
    sequences: Sequences = 10,
    tokens: Tokens = 256,
    bos: Bos = False,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Measure every checkpoint of a training; what is finished is kept beside the table."""
    from axonal.cli import output
    from axonal.learning.massive import checkpoints_in, checkpoints_on_hub
    from axonal.learning.massive import track as follow

    if to.suffix != ".csv":
        raise InputError(f"--to: expected a file that ends in .csv, got {to}.")
    with output.stdout_kept():
        if revisions is None:
            found = checkpoints_in(checkpoints, device=device)
            source, revision = _newest(Path(checkpoints)), None
        else:
            listed = [part.strip() for part in revisions.split(",") if part.strip()]
            found = checkpoints_on_hub(checkpoints, listed, device=device)
            source, revision = checkpoints, listed[-1]
        ids = _windows(_tokenizer(source, revision), texts, sequences, tokens, bos)
        console = output.console(stderr=True)
        to.parent.mkdir(parents=True, exist_ok=True)
        series = follow(
            found,
            ids,
            table=to.with_suffix(".jsonl"),
            progress=lambda done, total: console.print(f"checkpoint {done} of {total}"),
        )
        series.to_csv(to, index=False)
    if json:
        output.print_json({"table": str(to), "rows": _records(series)})
    else:
        steps = series["step"].nunique()
        output.console().print(f"{steps} checkpoints of {series['layer'].max()} layers: {to}")


@app.command()
def fit(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE.csv", help="Columns step and ratio, and layer, sem.")
    ],
    weighted: Annotated[
        bool, typer.Option(help="Weigh checkpoints by one over their squared standard error.")
    ] = False,
    method: Annotated[
        str, typer.Option(help="projection, or paper for the paper's own procedure.")
    ] = "projection",
    json: Json = False,
) -> None:
    """Fit the emergence curve of every layer and compare it with its rivals by AIC."""
    from axonal.cli import output
    from axonal.learning.massive import compare_models, fit_emergence, layer_series

    series = _table(table, weighted)
    found = []
    for layer in sorted(series["layer"].unique()):
        one = layer_series(series, layer)
        sem = one["sem"] if weighted else None
        try:
            made = fit_emergence(one["step"], one["ratio"], sem, method=method)  # pyright: ignore[reportArgumentType]
            rivals = compare_models(one["step"], one["ratio"], sem)
        except InputError as error:
            raise InputError(f"{table}, layer {layer}: {error}") from error
        found.append({"layer": int(layer), **made.summary(), "models": _records(rivals)})
    if json:
        output.print_json(_finite({"table": str(table), "layers": found}))
        return
    shown = output.table(
        "layer", "regime", "peak at", "peak height", "end", "R²", "best by AIC", "K"
    )
    for row in found:
        low, high = row["intervals"]["t_peak"]
        peak = f"{row['t_peak']:,.4g} [{low:,.4g}, {high:,.4g}]"
        shown.add_row(
            str(row["layer"]),
            row["regime"],
            peak if row["regime"] == "early-peak" else "",
            f"{row['peak_height']:,.4g}",
            f"{row['end_value']:,.4g}",
            f"{row['r2']:.3f}",
            row["models"][0]["model"],
            f"{row['parameters']['K']:.4g}" if row["identified"]["K"] else "not identified",
        )
    output.console().print(shown)


def _windows(tokenizer: Any, texts: Path | None, sequences: int, tokens: int, bos: bool) -> Any:
    """Cut windows of tokens out of a text, ``(sequences, tokens)``."""
    import torch

    from axonal.learning.massive import with_first_token

    if texts is None:
        from pydoc_data.topics import topics

        prose = "\n\n".join(topics[name] for name in sorted(topics))
    else:
        try:
            prose = texts.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--texts: {texts} cannot be read as text ({error}).") from error
    encoded = tokenizer(prose[: 12 * sequences * tokens], add_special_tokens=False, verbose=False)
    ids = torch.tensor(encoded["input_ids"], dtype=torch.long)
    if len(ids) < sequences * tokens:
        raise InputError(
            f"The text holds {len(ids)} tokens, fewer than {sequences} windows of {tokens}: lower "
            "--sequences or --tokens."
        )
    cut = ids[: sequences * tokens].view(sequences, tokens)
    if not bos:
        return cut
    if tokenizer.bos_token_id is None:
        raise InputError("--bos: this tokenizer has no first token.")
    return with_first_token(cut, tokenizer.bos_token_id)


def _newest(folder: Path) -> str:
    """Return the folder whose tokenizer is used: the run's own, or its last checkpoint's."""
    if (folder / "tokenizer.json").exists():
        return str(folder)
    from axonal.learning.massive.checkpoints import numbered

    return str(numbered(folder)[-1][1])


def _tokenizer(source: str, revision: str | None) -> Any:
    from transformers import AutoTokenizer

    from axonal import assets

    folder = assets.path(source, revision=revision)
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizer libraries raise bare exceptions
        raise InputError(
            f"{source} has no tokenizer that loads: put tokenizer.json into the folder of the "
            "checkpoints."
        ) from error


def _table(path: Path, weighted: bool) -> pd.DataFrame:
    import pandas as pd

    try:
        series = pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a CSV table: {str(error).splitlines()[0]}") from error
    needed = ["step", "ratio", *(["sem"] if weighted else [])]
    missing = [name for name in needed if name not in series.columns]
    if missing:
        raise InputError(
            f"{path} lacks the column {' and '.join(missing)}; it has {', '.join(series.columns)}."
        )
    return series if "layer" in series.columns else series.assign(layer=1)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return _finite(table.to_dict("records"))


def _finite(value: Any) -> Any:
    """Return what JSON can write: numbers that are not finite become words."""
    import math

    import numpy as np

    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
