"""The command line: one module a subcommand.

To add the subcommand `asmd NAME`, write `asmd/cli/NAME.py` with

    @dataclass(frozen=True)
    class Options:
        '''What `asmd NAME --help` says first.'''

        source: Positional[str]
        '''Text of the positional argument SOURCE (`Positional` is `tyro.conf.Positional`).'''
        repeats: int = 1
        '''Text of the flag `--repeats`.'''

    def run(options: Options) -> int:
        '''Do it; the answer is the exit status.'''

and add one line to `COMMANDS` below. The flags come from the dataclass by way of tyro, so there is no parser to write;
subcommands of a subcommand (`asmd data check`) are a field whose type is a union of such dataclasses.

A module whose defaults depend on what was typed (a preset with flags over it) also has `preset_options(arguments)`,
which gives an `Options` to start from, with `tyro.MISSING` for what has no default.

What a module may count on:

- It is imported only when its subcommand is called. Even so it imports torch, cv2, av, rich and the like inside `run`,
  so that `asmd NAME --help` answers at once (a test looks).
- An `AsmdError` that leaves `run` becomes one line, `asmd NAME: error: ...`, and exit status 1; so `run` catches none
  of its own accord. Ctrl-C becomes status 130, any other exception one line that tells of `--debug`, which shows
  tracebacks.
- What is logged with `logging.getLogger(__name__).warning(...)` anywhere in `asmd` shows as a line
  `asmd NAME: warning: ...` on stderr. Results for programs go to stdout, everything else to stderr.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from types import ModuleType

COMMANDS: dict[str, str] = {
    "demo": "Track an object through the sample clip; writes an annotated video and boxes.",
    "track": "Track one object through a video, images, a camera or a stream.",
    "app": "Serve a page to track in: open a video, draw a box, watch, correct, take the result away.",
    "data": "List the data sets that can be read, and check whether one is all there.",
    "evaluate": "Run a tracker over a data set; resumes where it stopped.",
    "report": "Score raw results by a benchmark's rules; tables, plots and one HTML page.",
    "submit": "Make the zip that the server of GOT-10k or TrackingNet takes.",
    "vot": "Make a tracker known to the VOT toolkit.",
    "convert": "Turn boxes into another tool's format, an annotated video, or cut-outs.",
    "train": "Train the shared features on videos, by a recipe.",
    "refine": "Train the head that tightens boxes, for given weights.",
    "quantise": "Put the network in int8 beside its float weights, for faster tracking on a CPU.",
    "tune": "Choose the weights of the losses by cross-validation over training videos.",
    "experiment": "Do the paper's tables and figures again, at its scale or a smaller one.",
    "export": "Write the feature network and the classifier for ONNX or OpenVINO, checked against torch.",
    "doctor": "Say what is installed, what the machine can do, and whether the tracker works here.",
}
"""Every subcommand, in the order of `asmd --help`, with its line there. `NAME` is the module `asmd.cli.NAME`."""

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments after the program's name; those of the process where not given.

    Returns:
        The exit status: 0 where all went well, 1 for an error, 2 for a wrong call, 130 after Ctrl-C.
    """
    # PyTorch's threads wait by spinning: where another program wants a core too, that costs most of the speed. It has
    # to be set before PyTorch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    if arguments[:1] == ["--version"]:
        from importlib.metadata import version

        print(f"asmd {version('asmd')}")
        return 0
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else EXIT_USAGE
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        return _fail("asmd", f"there is no subcommand {name!r}; `asmd --help` lists them", EXIT_USAGE)
    return _run(name, rest, debug)


def _usage() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: asmd COMMAND [OPTIONS]",
            "",
            "One box on the first frame, that object's box in every frame after it.",
            "",
            "commands:",
            *lines,
            "",
            "`asmd COMMAND --help` tells more. `--version` prints the version; `--debug`, anywhere, shows tracebacks.",
        ]
    )


def _run(name: str, arguments: list[str], debug: bool) -> int:
    from asmd.errors import AsmdError

    program = f"asmd {name}"
    handler = _warnings_to_stderr(program)
    try:
        module = importlib.import_module(f"asmd.cli.{name}")
        return _call(module, program, arguments)
    except KeyboardInterrupt:
        return _fail(program, "interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone (`asmd ... | head`): nobody is left to tell, and Python must not try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except AsmdError as error:
        if debug:
            raise
        return _fail(program, " ".join(str(error).split()), EXIT_ERROR)
    except Exception as error:
        if debug:
            raise
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(program, f"{text} (unexpected; run again with --debug for the traceback)", EXIT_ERROR)
    finally:
        logging.getLogger("asmd").removeHandler(handler)


def _call(module: ModuleType, program: str, arguments: list[str]) -> int:
    import tyro

    presets = getattr(module, "preset_options", None)
    default = {} if presets is None else {"default": presets(arguments)}
    options = tyro.cli(module.Options, prog=program, args=arguments, config=(tyro.conf.FlagCreatePairsOff,), **default)
    status: int = module.run(options)
    return status


class _ToStderr(logging.Handler):
    """Writes to whatever `sys.stderr` is at that moment: under a progress bar, what keeps lines clear of the bar."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def _warnings_to_stderr(program: str) -> logging.Handler:
    handler = _ToStderr(logging.WARNING)
    handler.setFormatter(logging.Formatter(f"{program}: warning: %(message)s"))
    logging.getLogger("asmd").addHandler(handler)
    return handler


def _fail(program: str, text: str, status: int) -> int:
    print(f"{program}: error: {text}", file=sys.stderr)
    return status
