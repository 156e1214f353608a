"""What a claim expects: comparisons of numbers that arms have.

    denoising < plain                               the claim's metric, of two arms with the same seed
    0.5 * vanilla["test/mse"] < pca["test/mse"]     another metric
    0.008 < sparse - plain < 0.012                  two comparisons
    abs(a - b) < 0.02 * b                           equal up to 2 %

    argmax(a_10, a_50) < argmax(b_10, b_50)         which of several is largest, by its place from 1

Arms stand for numbers; numbers, + - * / and abs, min, max, argmax, argmin and log between them. Each comparison has a
margin for each seed, above 0 where it holds:

    left < right    right - left            left > right    left - right
"""

import ast
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from hourglass.system.errors import HourglassError, nearest

__all__ = ["Comparison", "read_expectation"]

Values = Mapping[str, Mapping[str, float]]
"""By arm the metrics of one seed."""

_FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "argmin": lambda *values: 1.0 + values.index(min(values)),
    "argmax": lambda *values: 1.0 + values.index(max(values)),
    "log": math.log,
}
_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


class Comparison(NamedTuple):
    """One comparison, `text` as it was written."""

    text: str
    left: ast.expr
    right: ast.expr
    less: bool
    """Whether it is left < right, or else left > right."""
    metric: str
    """What an arm's name alone stands for."""

    def margin(self, values: Values) -> float:
        """By how much it holds for one seed, in units of the metric; below 0: by how much it doesn't.

        Raises:
            HourglassError: a metric that an arm doesn't have, or a result that is no number.
        """
        left, right = (self._value(side, values) for side in (self.left, self.right))
        margin = right - left if self.less else left - right
        if not math.isfinite(margin):
            raise HourglassError(f"expect: {self.text} compares {left:g} with {right:g}, which are no numbers")
        return margin

    @property
    def needs(self) -> list[tuple[str, str]]:
        """The arms and metrics in it, each once, in order."""
        found: dict[tuple[str, str], None] = {}
        for side in (self.left, self.right):
            taken = {id(node.value) for node in ast.walk(side) if isinstance(node, ast.Subscript)}
            for node in ast.walk(side):
                if isinstance(node, ast.Subscript):
                    found[_arm_and_metric(node, self.metric)] = None
                elif isinstance(node, ast.Name) and node.id not in _FUNCTIONS and id(node) not in taken:
                    found[node.id, self.metric] = None
        return list(found)

    def _value(self, node: ast.expr, values: Values) -> float:
        match node:
            case ast.Constant(value=value):
                return float(value)  # type: ignore[arg-type]
            case ast.UnaryOp(operand=operand):
                return -self._value(operand, values)
            case ast.BinOp(left=left, op=op, right=right):
                try:
                    return _OPERATIONS[type(op)](self._value(left, values), self._value(right, values))
                except ZeroDivisionError:
                    return math.nan
            case ast.Call(func=ast.Name(id=name), args=args):
                try:
                    return float(_FUNCTIONS[name](*(self._value(each, values) for each in args)))
                except ValueError:
                    return math.nan
            case _:
                arm, metric = _arm_and_metric(node, self.metric)
                metrics = values.get(arm, {})
                if metric not in metrics:
                    raise HourglassError(
                        f"expect: {self.text} needs {metric} of the arm {arm}, which it does not"
                        f" have{nearest(metric, list(metrics))}"
                    )
                return metrics[metric]


def read_expectation(text: object, *, arms: list[str], metric: str) -> list[Comparison]:
    """The comparisons of one expectation: one, or two of a chain `a < b < c`.

    Args:
        text: as it is written.
        arms: the names that it may use.
        metric: what a name alone stands for.

    Raises:
        HourglassError: anything but comparisons of arms and numbers.
    """
    allowed = 'a comparison with < or > of arms, arm["metric"] and numbers, as plain < 2 * noisy'
    try:
        tree = ast.parse(str(text), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise HourglassError(f"expect must be {allowed}, got {text}") from error
    if not isinstance(tree, ast.Compare) or not all(isinstance(op, ast.Lt | ast.Gt) for op in tree.ops):
        raise HourglassError(f"expect must be {allowed}, got {text}")
    sides = [tree.left, *tree.comparators]
    for side in sides:
        _check(side, str(text), arms, allowed)
    several = len(tree.ops) > 1
    made = []
    for op, left, right in zip(tree.ops, sides[:-1], sides[1:], strict=True):
        less = isinstance(op, ast.Lt)
        said = f"{ast.unparse(left)} {'<' if less else '>'} {ast.unparse(right)}".replace("'", '"')
        said = said if several else str(text).strip()
        made.append(Comparison(said, left, right, less, metric))
    if not any(each.needs for each in made):
        raise HourglassError(f"expect must name an arm, one of {', '.join(arms)}, got {text}")
    return made


def _check(node: ast.expr, text: str, arms: list[str], allowed: str) -> None:
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return None
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _check(operand, text, arms, allowed)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            _check(left, text, arms, allowed)
            return _check(right, text, arms, allowed)
        case ast.Call(func=ast.Name(id=name), args=[_, *_], keywords=[]) if name in _FUNCTIONS:
            for each in node.args:
                _check(each, text, arms, allowed)
            return None
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str())):
            if name not in arms:
                raise HourglassError(f"expect: {text}: {name} is no arm{nearest(name, arms)}; arms: {', '.join(arms)}")
            return None
        case _:
            raise HourglassError(f"expect must be {allowed}, got {text}")


def _arm_and_metric(node: ast.expr, metric: str) -> tuple[str, str]:
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(other))):
            return name, other
        case ast.Name(id=name):
            return name, metric
    raise AssertionError(ast.dump(node))  # `_check` has refused it
