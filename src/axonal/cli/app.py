"""The commands and their options. What they do is imported when they are called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axonal.cli import massive, steering

app = typer.Typer(
    help="Research papers that run: re-run a paper's claims, or use its method on your own data.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
claims_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)
assets_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)
app.add_typer(
    claims_app, name="claims", help="The ledger: every claim, its latest verdict, its scale."
)
app.add_typer(assets_app, name="assets", help="Models and data: size, licence, origin, checksum.")
app.add_typer(
    massive.app, name="massive", help="Massive activations: scan a model, track a training, fit."
)
app.add_typer(steering.app, name="steer", help="Steer a language model from two prompt files.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's folder or name, or a slug for its newest run.")
]


def _version(asked: bool) -> None:
    if asked:
        from axonal import __version__

        typer.echo(f"axonal {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the stack trace of an error.")
    ] = False,
) -> None:
    """Take the options that stand before a command; `main` has seen to them already."""


@app.command("list")
def list_studies(
    area: Annotated[str | None, typer.Option(help="Only this area.")] = None,
    search: Annotated[
        str | None, typer.Option(help="Only studies that hold all of these words.")
    ] = None,
    json: Json = False,
) -> None:
    """List the papers with the verdicts of their latest runs."""
    from axonal.cli import browse

    browse.list_studies(area, search, json)


@app.command()
def show(
    study: Annotated[str, typer.Argument(metavar="SLUG", help="A study, or a file ./my_study.py.")],
    json: Json = False,
) -> None:
    """Show one paper: claims, presets, settings, data, use."""
    from axonal.cli import browse

    browse.show(study, json)


@app.command()
def run(
    studies: Annotated[
        list[str], typer.Argument(metavar="SLUG", help="Studies, or files ./my_study.py.")
    ],
    preset: Annotated[str, typer.Option(help="smoke, laptop or full.")] = "laptop",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace one setting; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
    json: Json = False,
    jobs: Annotated[
        int, typer.Option(help="Workers for the study's sweeps; -1 for all cores.")
    ] = 1,
    backend: Annotated[
        str | None, typer.Option(help="serial, threads, processes (loky), dask or ray.")
    ] = None,
) -> None:
    """Run studies and judge their claims. With --json, one JSON object a line for each study."""
    from axonal.cli import running

    running.run(studies, preset, set_ or [], seed=seed, json=json, jobs=jobs, backend=backend)


@app.command("runs")
def list_runs(
    study: Annotated[
        str | None, typer.Argument(metavar="SLUG", help="Only runs of this study.")
    ] = None,
    json: Json = False,
) -> None:
    """List the runs there are, newest first."""
    from axonal.cli import keeping

    keeping.list_runs(study, json)


@app.command()
def resume(run: RunName, json: Json = False) -> None:
    """Continue a run that was stopped; what it had finished is kept."""
    from axonal.cli import running

    running.resume(run, json)


@app.command()
def report(run: RunName) -> None:
    """Write a run's report again and print its path."""
    from axonal.cli import keeping

    keeping.report(run)


@app.command()
def compare(first: RunName, second: RunName, json: Json = False) -> None:
    """Compare two runs: settings, measurements, verdicts, environment."""
    from axonal.cli import keeping

    keeping.compare(first, second, json)


@claims_app.callback()
def claims(context: typer.Context, json: Json = False) -> None:
    """List every claim of every paper with its latest verdict and the scale it holds at."""
    if context.invoked_subcommand is None:
        from axonal.cli import ledger

        ledger.claims(json)


@claims_app.command()
def verify(run: RunName, json: Json = False) -> None:
    """Judge a run's claims again, from its measurements alone."""
    from axonal.cli import ledger

    ledger.verify(run, json)


@app.command()
def new(
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="Lower-case words with hyphens.")],
    into: Annotated[Path, typer.Option(help="The folder to write to.")] = Path(),
) -> None:
    """Write a template study and its test, which run as they are."""
    from axonal.cli import keeping

    keeping.new(slug, into)


@app.command()
def screen(
    library: Annotated[
        Path, typer.Argument(help="SDF, SMILES, CSV or Parquet; or the folder of an index.")
    ],
    query: Annotated[
        list[str], typer.Option(help="A molecule that binds: a SMILES or a file; may be repeated.")
    ],
    to: Annotated[
        Path | None, typer.Option(help="The ranking: .csv, .tsv, .parquet, .smi or .json.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="ecfp4, usrcat, shape, or the folder of a trained search.")
    ] = "ecfp4",
    train: Annotated[
        Path | None, typer.Option(help="Learn first, from a table of smiles and target.")
    ] = None,
    value: Annotated[
        str | None, typer.Option(help="Column of that table with pK; below 6.5 is no binder.")
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="Further molecules to learn from, without targets.")
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="fingerprints, unimol, or a file of Uni-Mol weights.")
    ] = "fingerprints",
    steps: Annotated[int, typer.Option(min=1, help="Updates of the training.")] = 300,
    save: Annotated[Path | None, typer.Option(help="Keep what was learned in a folder.")] = None,
    label: Annotated[
        str | None,
        typer.Option(help="Column of the library that marks actives: then it is judged."),
    ] = None,
    active: Annotated[str, typer.Option(help="What that column holds for actives.")] = "1",
    top: Annotated[int | None, typer.Option(min=1, help="Keep only the best.")] = None,
    smiles: Annotated[str | None, typer.Option(help="Column of the SMILES.")] = None,
    id: Annotated[str | None, typer.Option(help="Column of the ids.")] = None,
    on_bad: Annotated[
        str, typer.Option(help="Molecules that cannot be read: raise (name all) or skip.")
    ] = "raise",
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
    json: Json = False,
) -> None:
    """Rank a library of molecules by some that are known to bind."""
    from axonal.cli import screening

    screening.screen(
        library, query, to, method=method, train=train, unlabelled=unlabelled, save=save,
        value=value, encoder=encoder, steps=steps, label=label, active=active, top=top,
        smiles=smiles, id=id, on_bad=on_bad, seed=seed, json=json,
    )  # fmt: skip


@assets_app.callback()
def assets(context: typer.Context, json: Json = False) -> None:
    """List the models and data that have a name."""
    if context.invoked_subcommand is None:
        from axonal.cli import assets as commands

        commands.list_assets(json)


@assets_app.command("list")
def list_assets(json: Json = False) -> None:
    """List the models and data that have a name."""
    from axonal.cli import assets as commands

    commands.list_assets(json)


@assets_app.command()
def pull(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Which to fetch.")],
    again: Annotated[bool, typer.Option(help="Fetch anew what is there already.")] = False,
) -> None:
    """Fetch models and data, so that later runs need no network."""
    from axonal.cli import assets as commands

    commands.pull(names, again)


@assets_app.command("verify")
def verify_assets(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Which; all that are here if none."),
    ] = None,
    json: Json = False,
) -> None:
    """Hash every file again and compare with what was recorded."""
    from axonal.cli import assets as commands

    commands.verify(names or [], json)
