"""`hourglass sample`, `export`, `register`, `push` and `pull`: what becomes of a trained model.

What is slow to import is imported by the command that needs it.
"""

import re
import shlex
from pathlib import Path

from hourglass.commands.parsing import Parser, chosen, settings, whole
from hourglass.system import process
from hourglass.system.errors import HourglassError

YES = {"true": True, "false": False}


def sample(words: list[str]) -> int:
    """New samples in a file."""
    parser = Parser("sample", "New samples, decoded from codes that are drawn: of the fitted density, or of the prior.")
    parser.add_argument("run")
    parser.add_argument("count", metavar="N", help="how many")
    parser.add_argument(
        "target", metavar="OUT.npy", help="samples (N, *shape), in their own units; also .csv of a table"
    )
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="seed=N, class=NAME",
        help="the same seed, the same samples; 0 unless said. Of a conditional model: the class, by number or name",
    )
    arguments = parser.parse_args(words)
    given = settings("sample", arguments.settings, keys=("seed", "class"))
    count, seed = whole("sample", "N", arguments.count), whole("sample", "seed", given.get("seed", "0"))
    from hourglass.trained import arrays
    from hourglass.trained.load import Trained

    process.show_messages()
    trained = Trained.of(arguments.run, uri=None)
    asked = arrays.read_classes(given["class"], trained, count=count) if "class" in given else None
    result = arrays.sample(trained, count, asked, seed=seed)
    arrays.write(arguments.target, result, columns=trained.columns)
    print(f"{arguments.target}: {str(result.dtype).removeprefix('torch.')} {tuple(result.shape)}")
    return 0


def export(words: list[str]) -> int:
    """Files for torch and ONNX."""
    parser = Parser("export", "Encoder and decoder apart, as files for torch (.pt2) and ONNX, compared with the model.")
    parser.add_argument("run")
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="to=FOLDER, range=LOW,HIGH",
        help="exported/NAME unless said; of values that go in and come out, the training data's unless said",
    )
    arguments = parser.parse_args(words)
    given = settings("export", arguments.settings, keys=("to", "range"))
    from hourglass.trained.load import Trained

    process.show_messages()
    trained = Trained.of(arguments.run, uri=None)
    name = re.sub(r"[^\w.-]+", "-", trained.run.name).strip("-.") or trained.run.id
    folder = Path(given.get("to", f"exported/{name}"))
    about = {"run": trained.run.name, "id": trained.run.id}
    for file in trained.in_own_units.export(folder, range=given.get("range"), about=about):
        print(file)
    return 0


def register(words: list[str]) -> int:
    """A version of a registered model."""
    parser = Parser("register", "Register a run's model with MLflow, which serves it: mlflow models serve.")
    parser.add_argument("run")
    parser.add_argument("name", metavar="NAME", help="of the registered model; it gets a new version")
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="gives=reconstruction|code",
        help="what it answers with; reconstruction unless said",
    )
    arguments = parser.parse_args(words)
    given = settings("register", arguments.settings, keys=("gives",))
    gives = chosen("register", "gives", given.get("gives", "reconstruction"), ("reconstruction", "code"))
    from hourglass.system.passwords import redacted
    from hourglass.trained.load import Trained
    from hourglass.trained.served import log_and_register

    process.show_messages()
    trained = Trained.of(arguments.run, uri=None)
    address = log_and_register(trained, name=arguments.name, gives=gives)
    print(address)
    place = shlex.quote(redacted(trained.run.uri))
    print(f"MLFLOW_TRACKING_URI={place} mlflow models serve -m {shlex.quote(address)} --env-manager local --port 5001")
    return 0


def push(words: list[str]) -> int:
    """A run for others."""
    parser = Parser(
        "push", "Weights (safetensors), configuration and a model card, in a folder or on the Hugging Face Hub."
    )
    parser.add_argument("run")
    parser.add_argument("target", metavar="FOLDER|hf:USER/REPO")
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="license=NAME, picture=false, private=false",
        help="as the Hub calls it, mit; without the picture, which shows test samples; a repository for all to see",
    )
    arguments = parser.parse_args(words)
    given = settings("push", arguments.settings, keys=("license", "picture", "private"))
    picture, private = (YES[chosen("push", key, given.get(key, "true"), tuple(YES))] for key in ("picture", "private"))
    from hourglass.commands.card import card
    from hourglass.system.temporary import temporary_folder
    from hourglass.trained.hub import SCHEME, Repository
    from hourglass.trained.load import Trained
    from hourglass.trained.sharing import write

    process.show_messages()
    target: str = arguments.target
    hub = Repository.of(target) if target.startswith(SCHEME) else None
    if hub is None and "private" in given:
        raise HourglassError(f"push: private is for {SCHEME}USER/REPO, {target} is a folder")
    trained = Trained.of(arguments.run, uri=None)
    pictured = picture and bool(trained.run.pictures())
    folder = Path(target).expanduser() if hub is None else temporary_folder() / "push"
    text = card(trained, address=target, licence=given.get("license"), picture=pictured)
    written = write(trained, folder, card=text, picture=pictured)
    if hub is None:
        print(*written, sep="\n")
    else:
        print(hub.upload(folder, private=private, message=f"{trained.run.name} ({trained.run.id})"))
    if "license" not in given:
        print("no licence is stated: name one in README.md, or push with license=NAME")
    return 0


def pull(words: list[str]) -> int:
    """What another shared, as a run."""
    parser = Parser("pull", "Make what hourglass push wrote a run of your own store.")
    parser.add_argument("source", metavar="FOLDER|hf:USER/REPO[@REVISION]")
    parser.add_argument("settings", nargs="*", metavar="name=NAME", help="of the run; that which it had unless said")
    arguments = parser.parse_args(words)
    given = settings("pull", arguments.settings, keys=("name",))
    from hourglass.tracking.shared import SharedRun
    from hourglass.trained.hub import SCHEME, Repository
    from hourglass.trained.sharing import pull as pulled

    process.show_messages()
    source: str = arguments.source
    folder = Repository.of(source).download() if source.startswith(SCHEME) else Path(source).expanduser()
    run = pulled(SharedRun(folder), name=given.get("name"), address=source)
    print(f"run      {run.name} ({run.id})")
    return 0
