"""Make MXNet 1.9.1 import and work on Python 3.9 to 3.13, with NumPy 1.23 to 2.5.

MXNet's last release is older than these: it reads names that NumPy has removed and a module that
Python 3.12 has removed. After `install`, Python's own ``import mxnet`` lends both while it runs,
then takes them back. NumPy looks as before to everyone else; MXNet's own modules keep a private
view with the names.

Programs import ``d2l_bn``, which calls `install`, before ``mxnet``. Otherwise::

    >>> import mxnet
    AttributeError: module 'numpy' has no attribute 'bool'
"""

from __future__ import annotations

import contextlib
import platform
import sys
import types
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from typing import Any, NoReturn, Optional

VERSION = "1.9.1"
INSTALL = f"pip install --no-deps mxnet=={VERSION}"  # its metadata refuses NumPy 2, wrongly
# Those with a wheel. One from elsewhere, such as conda's for Apple silicon, is tried all the same.
PLATFORMS = {("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "x86_64")}


def install() -> None:
    """Let ``import mxnet`` work from here on. This loads nothing, and does nothing twice."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


def import_mxnet() -> None:
    """Import MXNet, or say what is missing.

    Raises
    ------
    ImportError
        If MXNet is missing, is another version or can't run here; the message says what to do.
    """
    install()
    import mxnet

    _check_version(mxnet)  # of one that was imported before us


class _Finder:
    """Finds MXNet where Python would, and has it loaded with the old names."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        if name != "mxnet":
            return None
        spec = PathFinder.find_spec(name, path) or ModuleSpec(name, None)
        spec.loader = _Loader(name, spec.origin or "")
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: types.ModuleType) -> None:
        # An earlier `import mxnet` that failed leaves some of its modules behind: start afresh.
        for name in [name for name in sys.modules if name.startswith("mxnet.")]:
            del sys.modules[name]
        try:
            if not self.path:
                raise ModuleNotFoundError(f"No module named {self.name!r}", name=self.name)
            import numpy
            import numpy.testing  # as MXNet does: on Python 3.9 it forks, which starts the engine

            with _old_names_lent(numpy) as lent, _distutils():
                super().exec_module(module)
        except (ImportError, OSError, RuntimeError, AttributeError, TypeError) as error:
            raise ImportError(_explain(error)) from error
        _check_version(module)
        _keep_view(numpy, lent)
        if not numpy.__version__.startswith("1."):
            _accept_numpy_integers(numpy)


def _check_version(mxnet: Any) -> None:
    if mxnet.__version__ != VERSION:
        found = mxnet.__version__
        raise ImportError(f"d2l_bn needs MXNet {VERSION}, and found {found}. Run: {INSTALL}")


@contextlib.contextmanager
def _old_names_lent(numpy: Any) -> Iterator[dict[str, Any]]:
    """Lend NumPy's removed names to MXNet while it is imported."""
    # `vars`, not `hasattr`: for some of these names NumPy 1.23 answers with a warning.
    lent = {name: v for name, v in _old_names(numpy).items() if name not in vars(numpy)}
    vars(numpy).update(lent)
    try:
        yield lent
    finally:
        for name in lent:
            del vars(numpy)[name]


def _old_names(numpy: Any) -> dict[str, Any]:
    """Return what MXNet reads from NumPy and NumPy may have removed, with today's equivalents."""

    def removed(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError("NumPy removed its finance functions. Use numpy-financial.")

    return {
        "bool": bool,
        "int": int,
        **dict(PZERO=0.0, NZERO=-0.0, PINF=numpy.inf, NINF=-numpy.inf, Inf=numpy.inf),
        **dict(NAN=numpy.nan, NaN=numpy.nan),
        **dict(alltrue=numpy.all, sometrue=numpy.any, product=numpy.prod, round_=numpy.round),
        "trapz": getattr(numpy, "trapezoid", None),
        "msort": lambda a: numpy.sort(a, axis=0),
        "in1d": lambda a, b, **kwargs: numpy.isin(a, b, **kwargs).reshape(-1),
        "compat": types.SimpleNamespace(basestring=str),
        **dict.fromkeys(("mirr", "npv", "pmt", "ppmt", "pv", "rate"), removed),
    }


@contextlib.contextmanager
def _distutils() -> Iterator[None]:
    """Stand in for ``distutils.version``, which Python 3.12 has removed and 3.10 warns about."""

    class Version:
        """Compares the first two numbers of versions, which is all that MXNet needs."""

        def __init__(self, text: str) -> None:
            self.numbers = [int(part) for part in text.split(".")[:2]]

        def __ge__(self, other: Version) -> bool:
            return self.numbers >= other.numbers

    version: Any = types.ModuleType("distutils.version")
    version.LooseVersion = version.StrictVersion = Version
    ours = {"distutils": types.ModuleType("distutils"), "distutils.version": version}
    before = {name: sys.modules[name] for name in ours if name in sys.modules}
    sys.modules.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del sys.modules[name]
        sys.modules.update(before)


def _keep_view(numpy: Any, lent: dict[str, Any]) -> None:
    """Put a NumPy that still has the names in place of ``numpy`` in MXNet's own modules.

    Without it, boolean masks in ``mx.np`` and ``mx.test_utils.check_numeric_gradient`` fail.
    """
    view = types.ModuleType("numpy")
    vars(view).update(vars(numpy), **lent)
    if hasattr(numpy.lib, "array_utils"):  # `nd.moveaxis` looks for it where NumPy 1 had it
        vars(view)["core"] = types.SimpleNamespace(numeric=numpy.lib.array_utils)
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "mxnet":
            for key, value in list(vars(module).items()):
                if value is numpy:
                    setattr(module, key, view)


def _accept_numpy_integers(numpy: Any) -> None:
    """Let shapes and axes hold NumPy integers, which NumPy 2 prints as ``np.int64(3)``.

    MXNet turns arguments into text with ``str`` for its C library, which can't read that. So
    where it does, ``str`` becomes a class that makes plain numbers of them first.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return type(value)(map(plain, value))
        return value.item() if isinstance(value, numpy.generic) else value

    class Text(type):
        def __call__(cls, value: Any) -> str:
            return str(plain(value))

        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, str)

    for module in ("_ctypes.ndarray", "_ctypes.symbol", "symbol.symbol"):
        vars(sys.modules[f"mxnet.{module}"])["str"] = Text("str", (), {})


def _explain(error: Exception) -> str:
    """Return why MXNet can't be imported here and what to do about it."""
    here = (platform.system(), platform.machine())
    if "cannot open shared object" in str(error):
        return f"MXNet lacks a library of the system: {error}. Run: python -m d2l_bn.libraries"
    if here not in PLATFORMS:
        return (
            f"MXNet {VERSION} has wheels for Linux (x86-64, 64-bit Arm) and macOS (x86-64), and "
            f"this is {' '.join(here)}: {error}. Use Docker, WSL, conda or a hosted notebook: see "
            "book/install.md"
        )
    if sys.flags.optimize > 1:
        return "MXNet can't be imported without docstrings: unset PYTHONOPTIMIZE, leave out -OO"
    if isinstance(error, ModuleNotFoundError):
        install = INSTALL if str(error.name).startswith("mxnet") else f"pip install {error.name}"
        return f"MXNet {VERSION} or a package that it needs is missing: {error}. Run: {install}"
    return f"MXNet can't be imported: {error!r}. d2l_bn needs version {VERSION}. Run: {INSTALL}"
