"""`axonal screen`: rank a library of molecules by some that are known to bind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axonal.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from axonal.molecules import MoleculeSearch, Screening

WRITES = (".csv", ".tsv", ".parquet", ".smi", ".json")


def screen(
    library: Path,
    query: list[str],
    to: Path | None,
    *,
    method: str,
    train: Path | None,
    unlabelled: Path | None,
    save: Path | None,
    value: str | None,
    encoder: str,
    steps: int,
    label: str | None,
    active: str,
    top: int | None,
    smiles: str | None,
    id: str | None,
    on_bad: str,
    seed: int,
    json: bool,
) -> None:
    """Rank the library, write the ranking, say how it went."""
    if to is not None and to.suffix.lower() not in WRITES:
        raise InputError(f"--to: expected a file ending in {', '.join(WRITES)}, got {to.name}.")
    if on_bad not in ("raise", "skip"):
        raise InputError(f"--on-bad: expected raise or skip, got {on_bad!r}.")
    if train is None and (unlabelled is not None or save is not None):
        raise InputError("--unlabelled and --save belong to --train: what shall be learned from?")
    from axonal import molecules
    from axonal.cli import output
    from axonal.cli.live import reporting

    with output.stdout_kept(), reporting() as reporter:
        asked = queries(query)
        by: str | MoleculeSearch = method
        if train is not None:
            by = _learn(train, unlabelled, value, encoder, steps, on_bad, seed, reporter)
            if save is not None:
                by.save(save)
        reporter.begin("molecules", None)
        target: Any = library
        if library.is_dir():
            target = molecules.LibraryIndex.load(library)
        found = molecules.screen(
            asked, target, method=by, label=label, active=active, top=top, smiles=smiles, id=id,
            on_error="skip" if on_bad == "skip" else "raise", seed=seed,
            progress=lambda done, _: reporter.advance("molecules", done, None),
        )  # fmt: skip
        reporter.end("molecules")
    if to is not None:
        write(found.ranking, to)
    if json:
        output.print_json(_summary(found, to))
        return
    _show(found, to)


def queries(given: list[str]) -> list[Any]:
    """Return the molecules of the queries: each a SMILES, or a file that exists."""
    from axonal.molecules import read_molecules

    if not given:
        raise InputError("--query: name at least one molecule that binds, a SMILES or a file.")
    found: list[Any] = []
    for one in given:
        found += list(read_molecules(Path(one) if Path(one).is_file() else [one]))
    return found


def write(ranking: pd.DataFrame, to: Path) -> None:
    """Write a ranking in the format that the file's name asks for."""
    kind = to.suffix.lower()
    to.parent.mkdir(parents=True, exist_ok=True)
    if kind == ".parquet":
        ranking.to_parquet(to, index=False)
    elif kind == ".json":
        ranking.to_json(to, orient="records", indent=1)
    elif kind == ".smi":
        ranking[["smiles", "id", "score"]].to_csv(to, sep=" ", index=False, header=False)
    else:
        ranking.to_csv(to, sep="\t" if kind == ".tsv" else ",", index=False)


def _learn(
    train: Path,
    unlabelled: Path | None,
    value: str | None,
    encoder: str,
    steps: int,
    on_bad: str,
    seed: int,
    reporter: Any,
) -> MoleculeSearch:
    from axonal import molecules

    policy: Any = on_bad
    known = molecules.read_affinities(train, value=value, on_error=policy)
    binders = known.binders()
    if len(binders) < len(known):
        reporter.say(f"{len(binders)} of {len(known)} rows bind (pK 6.5 and more)")
    made: Any
    if encoder == "fingerprints":
        made = molecules.DescriptorEncoder(seed=seed)
    elif encoder == "unimol":
        made = molecules.UniMolEncoder.small(seed=seed)
    elif Path(encoder).is_file():
        made = molecules.load_unimol(encoder, seed=seed)
    else:
        raise InputError(
            f"--encoder: expected fingerprints, unimol or a file of Uni-Mol weights, got {encoder!r}."
        )
    search = molecules.MoleculeSearch(made, steps=steps)
    reporter.begin("training", steps)
    search.fit(
        binders.molecules,
        binders.targets,
        unlabelled=unlabelled,
        seed=seed,
        on_error=policy,
        progress=lambda done, total: reporter.advance("training", done, total),
    )
    reporter.end("training")
    return search


def _summary(found: Screening, to: Path | None) -> dict[str, Any]:
    head = found.ranking.head(10)
    first = head.astype(object).where(head.notna(), None).to_dict("records")
    return {
        "file": None if to is None else str(to),
        "molecules": len(found.ranking),
        "reading": found.reading,
        "queries_in_library": found.queries_in_library,
        "unscored": found.unscored,
        "metrics": None if found.metrics is None else _finite(found.metrics.as_dict()),
        "intervals": {} if found.metrics is None else found.metrics.intervals,
        "training_copies": None if found.leaks is None else found.leaks.copies,
        "first": first,
    }


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {name: value if value == value else None for name, value in values.items()}


def _show(found: Screening, to: Path | None) -> None:
    from axonal.cli import output

    console = output.console()
    table = output.table("rank", "id", "score", "smiles")
    for row in found.ranking.head(10).to_dict("records"):
        table.add_row(str(row["rank"]), str(row["id"]), f"{row['score']:.3f}", str(row["smiles"]))
    console.print(table)
    console.print(found.reading)
    if found.queries_in_library:
        console.print(f"{found.queries_in_library} of them are a query themselves: left out")
    if found.unscored:
        console.print(f"{found.unscored} have no conformer: ranked last, without a score")
    if found.metrics is not None:
        console.print(str(found.metrics), soft_wrap=True)
    if found.leaks is not None:
        kind = "actives" if found.metrics is not None else "molecules of the library"
        console.print(f"{found.leaks.copies} of {found.leaks.tested} {kind} were in the training")
    if to is not None:
        console.print(f"ranking: {output.short(to)}", soft_wrap=True)
    sys.stdout.flush()
