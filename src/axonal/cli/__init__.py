"""The command line: list the papers, run them, look at what was found.

Exit status: 0 when a study ran, whatever its verdicts; 2 for bad input; 1 for a failure; 130 when
interrupted. A mistake is one sentence on standard error. The stack trace is shown with ``--debug``
or ``AXONAL_DEBUG=1``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from axonal.errors import AxonalError, InputError, nearest

BAD_INPUT, FAILURE, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in given:
        given.remove("--debug")
        os.environ["AXONAL_DEBUG"] = "1"
    # Idle threads of a matrix product sleep instead of spinning: on a machine that does anything
    # else besides, a forward pass of SmolLM2 is about ten times faster so. Read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        status = _run(given or ["--help"])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    import typer

    from axonal.cli.app import app

    # typer shows only the leaves of its errors: a bad parameter is a usage error is a click error
    usage_error, click_error = typer.BadParameter.__bases__[0], typer.BadParameter.__mro__[2]
    try:
        return app(arguments, prog_name="axonal", standalone_mode=False) or 0
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort) as error:
        return _fail(error, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        raise
    except InputError as error:
        return _fail(error, str(error), BAD_INPUT)
    except AxonalError as error:
        return _fail(error, str(error), getattr(error, "exit_status", FAILURE))
    except Exception as error:
        if isinstance(error, click_error):
            status = BAD_INPUT if isinstance(error, usage_error) else FAILURE
            return _fail(error, _usage(error), status)
        words = str(error).strip().splitlines() or ["no message"]
        return _fail(
            error,
            f"{type(error).__name__}: {words[0]} (run again with --debug to see where)",
            FAILURE,
        )


def _fail(error: BaseException, sentence: str, status: int) -> int:
    if os.environ.get("AXONAL_DEBUG", "") not in ("", "0"):
        import traceback

        traceback.print_exception(error)
    print(f"axonal: {sentence}", file=sys.stderr)
    return status


def _usage(error: Exception) -> str:
    message = error.format_message().rstrip(".")  # pyright: ignore[reportAttributeAccessIssue]
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "axonal"
    commands = getattr(context.command, "commands", {}) if context else {}
    if commands and message.startswith("No such command"):
        unknown = message.partition("'")[2].partition("'")[0]
        return f"there is no command {unknown!r}: {nearest(unknown, commands)}"
    return f"{message[:1].lower()}{message[1:]} (see {path} --help)"
