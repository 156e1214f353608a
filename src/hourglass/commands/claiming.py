"""`hourglass claim`: a claim put to the test."""

import re
from collections.abc import Sequence
from pathlib import Path

from hourglass.commands.parsing import Parser, chosen
from hourglass.system import process
from hourglass.system.errors import HourglassError, nearest

OPTIONS = {
    "quick": "true: 3 seeds and two epochs, or what the file says under quick (false)",
    "into": "a page for a record, FILE.md; numbers and pictures go into a folder of its name",
    "title": "of that page",
}
"""What it takes besides files and the words of all trainings."""


def claim(words: Sequence[str]) -> int:
    """Train and measure what claims ask for, and say the verdicts; 1 where an arm failed."""
    parser = Parser(
        "claim",
        "Put claims to the test: verdicts with effects and intervals, from runs that differ in nothing but what each"
        " claim is about.\nWhat is recorded already is not trained again.",
    )
    parser.explain({**OPTIONS, "KEY": "any other word is of all trainings, as tracking.uri=... or sweep.workers=2"})
    parser.add_argument("files", nargs="+", metavar="FILE.yaml", help="claims, or folders of them")
    known = parser.parse_args(list(words)).files
    files, options, rest = _sorted_out(known)
    quick = chosen("claim", "quick", options.get("quick", "false"), ("true", "false")) == "true"
    from hourglass.claims.claim import check_names, read

    claims = [read(path) for path in files]
    check_names(claims)
    if "into" in options and not options["into"].endswith(".md"):
        raise HourglassError(f"claim: into must be a .md file, got {options['into']}")
    from hourglass.claims.page import Page, sentence, write
    from hourglass.claims.running import run
    from hourglass.claims.verdict import judge
    from hourglass.pipeline.naming import command_line

    process.show_messages()
    claims = [claim.hurried() if quick else claim for claim in claims]
    tested = [claim for claim in claims if claim.arms]
    name = claims[0].name if len(claims) == 1 else files[0].absolute().parent.name
    command = command_line(known, command="claim")
    found = run(tested, name=name, command=command, words=rest) if tested else None
    judged = judge(claims, found.values if found else {}, found.failures if found else {})
    for each in judged:
        print(f"{each.verdict:10}  {each.claim.name}: {each.claim.claim}")
        for effect in each.effects:
            print(f"            {sentence(effect).replace('`', '')}")
        if each.failure or each.claim.why_not:
            print(f"            {each.failure or each.claim.why_not}")
    if "into" in options:
        for path in write(judged, Path(options["into"]), Page(options.get("title", "Claims"), command))[:2]:
            print(path)
    return int(any(each.failure for each in judged))


def _sorted_out(words: Sequence[str]) -> tuple[list[Path], dict[str, str], list[str]]:
    """Files, options, and words of all trainings."""
    files: list[Path] = []
    options: dict[str, str] = {}
    rest: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if Path(word).is_dir():
            inside = sorted(Path(word).glob("*.yaml"))
            if not inside:
                raise HourglassError(f"claim: {word} holds no .yaml file")
            files += inside
        elif Path(word).is_file() or re.fullmatch(r"[^=]+\.ya?ml", word):
            files.append(Path(word))
        elif key in OPTIONS and equals:
            options[key] = value
        elif equals or word.startswith("~"):
            rest.append(word)
        else:
            raise HourglassError(f"claim takes files and KEY=VALUE words, got {word}{nearest(word, list(OPTIONS))}")
    if not files:
        raise HourglassError("claim: at least one file must be given, got none")
    return files, options, rest
