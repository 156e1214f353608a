"""The command line: `hourglass COMMAND ...`.

Thin: each command reads its arguments, calls the part of the package that does the work and prints the result. What
is slow to import is imported by the command that needs it, so that help and `list` answer at once.
"""

import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from hourglass.commands import claiming, reporting, sharing
from hourglass.commands.parsing import Parser
from hourglass.configuration.groups import help_of_train
from hourglass.system import process
from hourglass.system.errors import HourglassError, nearest

USAGE = """\
usage: hourglass COMMAND ...

Autoencoders: composed with Hydra, trained with Lightning, tracked with MLflow.

  train [KEY=VALUE ...]                   train one, or with -m a sweep; --cfg job shows the configuration
  evaluate RUN [data=...] [noise=...]     measure a trained model on other data, under other noise
  encode RUN IN.npy OUT.npy [range=...]   samples to codes
  decode RUN IN.npy OUT.npy               codes to samples
  reconstruct RUN IN.npy OUT.npy          samples to reconstructions
  sample RUN N OUT.npy [seed=N]           new samples
  export RUN [to=FOLDER]                  encoder and decoder as files for torch and ONNX
  register RUN NAME                       as an MLflow model, for mlflow models serve
  push RUN FOLDER|hf:USER/REPO            weights, configuration and a model card, for others
  pull FOLDER|hf:USER/REPO                such a model as a run of your own
  report STUDY|RUN... [into=report.html]  what was found, as one page: conclusions, tables, pictures, units
  compare RUN RUN ... [into=FILE.html]    what differs in configuration, numbers and reconstructions
  claim FILE.yaml... [quick=true]         a claim put to the test: verdict, effect, interval
  runs [WORD ...] [KEY=VALUE ...]         runs and studies: name, when, verdict, test error
  list [GROUP]                            every model, data set, noise, regularizer, ...: one line each
  ui [port=N]                             the dashboard, on 127.0.0.1

hourglass COMMAND --help says more of each; hourglass --version

RUN is a run's id, its first 6 digits or more, or its name; or what push wrote, ./FOLDER or hf:USER/REPO. Rows of a
table stand in its own units; they may also be read from and written to .csv files. For IN.npy a picture or a folder of
pictures will do, for data=... such a folder. range=0,255 scales values of that range to the training data's, range=any
takes values as they are, however far from those. Examples:

  hourglass train model=conv noise=masking bottleneck=relu regularizer=l1 data=fashion_mnist
  hourglass train -m model.code_size=2,4,8,16 seed=0,1,2
  hourglass train experiment=vanilla
"""


def command() -> NoReturn:
    """The program `hourglass`: one command, and the end of the process."""
    process.end_at_once()
    sys.exit(process.ends_with(main()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for a person's mistake, 1 for a failed sweep, 130 for Ctrl-C."""
    process.before_torch()
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0 if words else 2
    if "--version" in words[:2]:
        print(f"hourglass {version('hourglass')}")
        return 0
    command, rest = words[0], words[1:]
    if command not in COMMANDS:
        return _complain(f"{command!r} is no command{nearest(command, list(COMMANDS))}; see hourglass --help")
    try:
        return COMMANDS[command](rest)
    except HourglassError as error:
        return _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:  # `hourglass list | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _complain(message: str, code: int = 2) -> int:
    if os.environ.get("HYDRA_FULL_ERROR") == "1" and sys.exc_info()[0] is not None:
        raise
    print(f"hourglass: {message}", file=sys.stderr)
    return code


def _train(words: list[str]) -> int:
    if completing := {"--shell-completion", "-sc"} & set(words):
        from hourglass.commands.completion import complete

        asked = [word for word in words if word not in completing]
        print(complete(asked, commands=list(COMMANDS)), end="")
        return 0
    if set(words) and set(words) <= {"-h", "--help"}:  # with a --config-dir beside it, Hydra has to look
        print(help_of_train())
        return 0
    from hourglass.commands.train import run
    from hourglass.system.passwords import kept_out

    with kept_out(words) as known:
        return run(known)


def _evaluate(words: list[str]) -> int:
    parser = Parser("evaluate", "Measure a trained model on the test set of other data, under other noise.")
    parser.add_argument("run")
    parser.add_argument(
        "overrides",
        nargs="*",
        help="a folder of pictures, or data=..., noise=..., and their values; range=LOW,HIGH or any",
    )
    arguments = parser.parse_args(words)
    from hourglass.pipeline.evaluate import evaluate

    process.show_messages()
    run, metrics = evaluate(arguments.run, arguments.overrides, uri=None)
    from hourglass.commands.summary import table

    print(table(metrics, stage="test"))
    print(f"\nrun      {run.name} ({run.id})")
    return 0


def _apply(command: str, help_text: str, source: str, target: str) -> Callable[[list[str]], int]:
    def execute(words: list[str]) -> int:
        parser = Parser(command, help_text)
        parser.add_argument("run", help="id, first digits or name of a run")
        parser.add_argument("source", metavar="IN.npy", help=source)
        parser.add_argument("target", metavar="OUT.npy", help=target)
        if command != "decode":
            parser.add_argument("range", nargs="?", metavar="range=LOW,HIGH|any", help="of the values in IN.npy")
        arguments = parser.parse_args(words)
        key, _, given = (vars(arguments).get("range") or "range=").partition("=")
        if key != "range":
            raise HourglassError(
                f"{command}: the fourth word must be range=LOW,HIGH or range=any, got {arguments.range}"
            )
        from hourglass.trained import arrays
        from hourglass.trained.load import Trained

        process.show_messages()
        trained = Trained.of(arguments.run, uri=None)
        if command == "decode":
            values = arrays.read_codes(arguments.source, trained)
        else:
            values = arrays.read_samples(arguments.source, trained, given or None)
        result = getattr(arrays, command)(trained, values)
        arrays.write(arguments.target, result, columns=None if command == "encode" else trained.columns)
        print(f"{arguments.target}: {str(result.dtype).removeprefix('torch.')} {tuple(result.shape)}")
        return 0

    return execute


def _list(words: list[str]) -> int:
    from hourglass.configuration.groups import choice_files, choices, is_ours

    parser = Parser("list", "Every model, data set, noise, regularizer, ...: one line each.")
    parser.add_argument("group", nargs="*", help="only these groups")
    words = parser.parse_args(words).group
    groups, files = choices(), choice_files()
    for group in words:
        if group not in groups:
            raise HourglassError(f"{group!r} is no group{nearest(group, list(groups))}; groups: {', '.join(groups)}")
    for group in words or groups:
        print(f"{group}")
        width = max(map(len, groups[group]), default=0)
        for name, description in groups[group].items():
            file = files[group][name]
            whose = "" if is_ours(file) else f"  (yours: {_short(file)})"
            print(f"  {name:<{width}}  {description}{whose}")
    return 0


def _short(file: Path) -> Path:
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def _ui(words: list[str]) -> int:
    parser = Parser("ui", "The dashboard, on 127.0.0.1.")
    parser.add_argument(
        "settings", nargs="*", metavar="port=N, uri=URI", help="5000, and mlflow.db or MLFLOW_TRACKING_URI"
    )
    words = parser.parse_args(words).settings
    options = dict(word.partition("=")[::2] for word in words)
    if unknown := set(options) - {"port", "uri"}:
        raise HourglassError(f"ui takes port=N and uri=URI, got {', '.join(sorted(unknown))}")
    port = options.get("port", "5000")
    if not port.isdigit() or not 1 <= int(port) <= 65535:
        raise HourglassError(f"port must be from 1 to 65535, got {port!r}")
    from hourglass.tracking import resolve_uri, serve

    serve(uri=resolve_uri(options.get("uri")), port=int(port), open_browser=sys.stdout.isatty())
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": _train,
    "evaluate": _evaluate,
    "encode": _apply("encode", "Turn samples into codes.", "samples (N, *shape)", "codes (N, code_size)"),
    "decode": _apply("decode", "Turn codes into samples.", "codes (N, code_size)", "samples (N, *shape)"),
    "reconstruct": _apply("reconstruct", "Reconstruct samples.", "samples (N, *shape)", "reconstructions (N, *shape)"),
    "sample": sharing.sample,
    "export": sharing.export,
    "register": sharing.register,
    "push": sharing.push,
    "pull": sharing.pull,
    "report": reporting.report,
    "compare": reporting.compare,
    "claim": claiming.claim,
    "runs": reporting.runs,
    "list": _list,
    "ui": _ui,
}
