"""A new study and its test, which run as they are and are changed step by step."""

from __future__ import annotations

from pathlib import Path

from axonal.errors import InputError
from axonal.lab.files import disk_error
from axonal.lab.study import SLUG

TEMPLATES = Path(__file__).parent / "templates"


def write_template(slug: str, folder: Path) -> tuple[Path, Path]:
    """Write ``MODULE.py`` and ``test_MODULE.py`` into a folder and return their paths.

    Nothing that is there already is overwritten.
    """
    if not SLUG.fullmatch(slug) or slug[0].isdigit():
        raise InputError(
            f"A study's slug is lower-case words joined by hyphens, such as my-paper; got {slug!r}"
        )
    module = slug.replace("-", "_")
    study, test = folder / f"{module}.py", folder / f"test_{module}.py"
    for path in (study, test):
        if path.exists():
            raise InputError(f"{path} exists already and stays as it is; choose another slug")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, name in ((study, "study.py.txt"), (test, "test_study.py.txt")):
            text = (TEMPLATES / name).read_text(encoding="utf-8")
            path.write_text(text.replace("SLUG", slug).replace("MODULE", module), encoding="utf-8")
    except OSError as error:
        raise disk_error(error, folder) from error
    return study, test
