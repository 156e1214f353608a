"""Packages that Lightning imports for a name or two, and that are read as far as they are asked for.

    torchmetrics    `Metric` and `MetricCollection`, with which Lightning compares what a module logs; all its metrics
                    come with torchvision and scipy's signals. `utilities.plot`, which draws them, is matplotlib
    torch._dynamo   `OptimizedModule`, with which Lightning compares a module, and `disable` and `graph_break`, which
                    keep the compiler off a function; torch's optimizers call them too, and `torch.func.grad`
                    `compiled_autograd._disable`. It is the compiler, with sympy and triton.
    torch._inductor `config`, where `use_deterministic_algorithms` leaves word; it is the compiler's other half
    torch.utils.flop_counter
                    `FlopCounterMode`, with which Lightning's summary counts; it is triton

Together they are more than half of what `import pytorch_lightning` takes, for nothing that is used here. After `defer`,
the names above bring only themselves. Whatever else is asked of such a package, or of a module in it, is there as
always: its `__init__` runs then.
"""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache, partial, wraps
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import FunctionType, ModuleType
from typing import Any

from typing_extensions import override


def _of_torchmetrics(module: str) -> Callable[[str], Any]:
    def find(name: str) -> Any:
        import_module("torchmetrics.utilities")  # which `metric` and itself import in a circle that begins here
        return getattr(import_module(f"torchmetrics.{module}"), name)

    return find


@cache
def _optimized_module(_name: str) -> type:
    """A class whose instances are those of the compiler's `OptimizedModule`: none before anybody has compiled one."""

    class Compared(type):
        @override
        def __instancecheck__(cls, x: Any) -> bool:
            compiler = sys.modules.get("torch._dynamo.eval_frame")
            return compiler is not None and isinstance(x, compiler.OptimizedModule)

    return Compared("OptimizedModule", (), {})


class _Named:
    """A function or a class of a module, which is read when it is called, derived from, or compared with."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def _real(self) -> Any:
        module = import_module(self._module)
        assert isinstance(module.__loader__, _Later)
        module.__loader__.read(module)
        return getattr(module, self._name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._real()(*args, **kwargs)

    def __mro_entries__(self, _bases: tuple[object, ...]) -> tuple[type]:
        return (self._real(),)

    def __instancecheck__(self, x: object) -> bool:
        return isinstance(x, self._real())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)


def _disable(_name: str) -> Callable[..., Any]:
    def disable(fn: Any = None, recursive: bool = True, **settings: Any) -> Any:
        """A function that the compiler leaves alone, once there is a compiler."""
        if fn is None:
            return partial(disable, recursive=recursive, **settings)
        if not isinstance(fn, FunctionType):
            return import_module("torch._dynamo.decorators").disable(fn, recursive, **settings)
        real: Callable[..., Any] | None = None

        @wraps(fn)
        def called(*args: Any, **kwargs: Any) -> Any:
            nonlocal real
            if real is None:
                compiler = getattr(sys.modules.get("torch._dynamo.decorators"), "disable", None)
                if compiler is None:
                    return fn(*args, **kwargs)
                real = compiler(fn, recursive, **settings)
            return real(*args, **kwargs)

        return called

    return disable


def _nothing(*_: Any, **__: Any) -> None:
    """What a mark for the compiler does without one."""


class _CompiledAutograd:
    """`_disable()`, within which gradients are not compiled: nothing does so before there is a compiler."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("torch._dynamo.compiled_autograd"), name)

    @staticmethod
    def _disable() -> Any:
        real = sys.modules.get("torch._dynamo.compiled_autograd")
        return nullcontext() if real is None else real._disable()


LAZY: Mapping[str, Mapping[str, Callable[[str], Any]]] = {
    "torchmetrics": {
        "Metric": _of_torchmetrics("metric"),
        "MetricCollection": _of_torchmetrics("collections"),
        "__version__": _of_torchmetrics("__about__"),
        "_logger": lambda _name: logging.getLogger("torchmetrics"),  # of its own modules
    },
    "torchmetrics.utilities.plot": {
        "_AX_TYPE": lambda _name: object,  # what annotations say where there is no matplotlib
        "_PLOT_OUT_TYPE": lambda _name: object,
        "plot_single_or_multi_val": partial(_Named, "torchmetrics.utilities.plot"),
    },
    "torch._dynamo": {
        "OptimizedModule": _optimized_module,
        "compiled_autograd": lambda _name: _CompiledAutograd(),
        "disable": _disable,
        "graph_break": lambda _name: _nothing,
    },
    "torch._inductor": {},
    "torch.utils.flop_counter": {"FlopCounterMode": partial(_Named, "torch.utils.flop_counter")},
}
"""What of each package is there without its `__init__`, and how it is found."""
ALONE = ("torch._inductor.config", "torch._inductor.custom_graph_pass")
"""Modules of theirs that need nothing of the package."""


def defer() -> None:
    """From now on, for each of the packages that is not imported yet."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds the packages, and has them read before anybody else imports a module of theirs."""

    def __init__(self) -> None:
        self.later: dict[str, _Later] = {}

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        for package, later in tuple(self.later.items()):
            if fullname.startswith(f"{package}.") and fullname not in ALONE and package in sys.modules:
                later.read(sys.modules[package])
        if fullname not in LAZY or fullname in self.later:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = self.later[fullname] = _Later(spec.loader, LAZY[fullname])
        return spec


class _Later(Loader):
    """Runs a package's `__init__` when something is asked for that only this brings."""

    def __init__(self, loader: Loader, alone: Mapping[str, Callable[[str], Any]]) -> None:
        self.loader = loader
        self.alone = alone
        self.whole = RLock()
        self.finding = False
        """Whether a name is being found that needs nothing else."""
        self.begun = False
        """Whether its `__init__` runs or ran."""

    @override
    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    @override
    def exec_module(self, module: ModuleType) -> None:
        def asked(name: str) -> Any:
            if name in self.alone and not self.begun:
                with self.whole:
                    outer, self.finding = self.finding, True
                    try:
                        found = vars(module)[name] = self.alone[name](name)  # the `__init__` puts its own in its place
                    finally:
                        self.finding = outer
                return found
            if not name.startswith("__") or name == "__all__":  # other such names are looked for in any module
                self.read(module)
            if name in vars(module):
                return vars(module)[name]
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__getattr__ = asked  # type: ignore[method-assign]  # PEP 562

    def read(self, module: ModuleType) -> None:
        """Run the package's `__init__`, once; what is asked while it runs is answered by what is there so far."""
        with self.whole:
            if self.begun or self.finding:
                return
            self.begun = True
            try:
                self.loader.exec_module(module)
            except BaseException:
                self.begun = False
                raise
