"""Equations of docstrings, which stand there as lines of their own, are shown as they stand: as blocks of code."""

import re
from typing import Any

from griffe import Extension, Object

EQUATION = re.compile(r"[-\w~^|(), /']{1,40}? [=~] |[\w ]+: [A-Z] = |\w+ +(sum|\||KL)")


class Equations(Extension):
    """Indents every paragraph that begins with an equation."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called for every module, class, function and attribute that has been read."""
        if obj.docstring is not None:
            obj.docstring.value = "\n\n".join(map(_shown, obj.docstring.value.split("\n\n")))


def _shown(paragraph: str) -> str:
    lines = paragraph.split("\n")
    text = paragraph.startswith(" ") or any(re.search(r"[a-z]\.$", line) for line in lines)  # code already, or prose
    if text or not EQUATION.match(paragraph):
        return paragraph
    return "\n".join(f"    {line}" for line in lines)
