"""MXNet imports and works on this Python and this NumPy, and NumPy stays as it was.

An import happens once in a process, so most of these run in a child process.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from d2l_bn import _compat

import mxnet as mx
from mxnet import nd

CHECKOUT = Path(__file__).parent.parent


def run(code, *options, path=""):
    """Run ``code`` in a fresh Python that looks for modules in ``path``, then in the checkout."""
    folders = [str(path), str(CHECKOUT), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=600,
    )


def succeed(code, *options):
    """Run ``code``, which has to end well and print nothing."""
    done = run(code, *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def refusal(tmp_path, source):
    """Return the last line that `import mxnet` prints when mxnet consists of ``source``."""
    (tmp_path / "mxnet.py").write_text(source)
    done = run("import d2l_bn, mxnet", path=tmp_path)
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1]


def installed():
    try:
        return bool(importlib.metadata.version("d2l-bn"))
    except importlib.metadata.PackageNotFoundError:
        return False


SNAPSHOT = """
import sys, types
import numpy as np
def snapshot():  # submodules may be loaded by anybody's import
    return {k: v for k, v in vars(np).items() if not isinstance(v, types.ModuleType)}
before, listed = snapshot(), dir(np)
"""
COMPARE = """
after = snapshot()
changed = [k for k in {**before, **after} if before.get(k, k) is not after.get(k, k)]
assert not changed, changed
assert set(dir(np)) - set(listed) <= {k for k in dir(np) if k not in after}
"""
FAIL_HALF_WAY = """
import sys, warnings
class Refuse:
    def find_spec(self, name, path, target=None):
        if name == "mxnet.io":
            raise ImportError("refused")
sys.meta_path.insert(0, Refuse())
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, on the way to the AttributeError
        {}
except (ImportError, AttributeError):
    assert "mxnet" not in sys.modules and "mxnet.base" in sys.modules
else:
    raise AssertionError("it did not fail")
del sys.meta_path[0]
"""


def test_numpy_is_as_before_and_nothing_warns():
    succeed(SNAPSHOT + "import d2l_bn, mxnet" + COMPARE, "-W", "error")


def test_numpy_is_as_before_when_the_import_fails():
    succeed(SNAPSHOT + FAIL_HALF_WAY.format("import d2l_bn, mxnet") + COMPARE)


def test_distutils_is_not_left_behind():
    left = "[m for m in sys.modules if m.startswith('distutils')]"
    succeed(f"import sys, d2l_bn, mxnet; assert not {left}")


def test_works_after_an_import_of_mxnet_that_failed():
    again = "import d2l_bn, mxnet\nassert mxnet.gluon.nn.Dense(1) and mxnet.nd.ones(1).asscalar()"
    succeed(FAIL_HALF_WAY.format("import mxnet") + again)


def test_second_call_does_nothing():
    before = dict(vars(mx))
    _compat.import_mxnet()
    assert vars(mx) == before


@pytest.mark.parametrize("word", ["bool", "int", "PZERO", "trapz", "npv"])
def test_mxnet_keeps_a_numpy_with_the_old_names(word):
    assert hasattr(mx.test_utils.np, word)
    assert mx.test_utils.np.ndarray is np.ndarray


def test_in1d_and_msort_keep_their_meaning():
    names = _compat._old_names(np)
    table = np.array([[3, 1], [2, 4]])
    assert names["in1d"](table, [1, 4]).tolist() == [False, True, False, True]
    assert names["msort"](table).tolist() == [[2, 1], [3, 4]]


def test_boolean_masks_of_mx_np():
    with mx.util.np_shape(True), mx.util.np_array(True):
        x = mx.np.array([[1.0, 2.0], [3.0, 4.0]])
        assert x[x > 2].asnumpy().tolist() == [3, 4]
        x[x > 2] = 0
        assert x.asnumpy().tolist() == [[1, 2], [0, 0]]


def test_check_numeric_gradient(capfd):
    x = mx.sym.var("x")
    mx.test_utils.check_numeric_gradient(mx.sym.square(x), [np.ones((2, 2))], dtype=np.float64)
    with pytest.raises(AssertionError):
        mx.test_utils.check_numeric_gradient(mx.sym.BlockGrad(x), [np.ones((2, 2))])


def test_moveaxis():
    assert nd.moveaxis(nd.zeros((2, 3, 4)), 0, 2).shape == (3, 4, 2)


def test_numpy_integers_in_shapes_and_axes():
    two, three = np.int64(2), np.int32(3)
    X = nd.arange(6)
    assert nd.zeros((two, 3)).shape == (2, 3)
    assert X.reshape((two, three)).shape == (2, 3)
    assert nd.reshape(X, shape=(two, three)).shape == (2, 3)
    assert nd.sum(X.reshape((1, 2, 3)), axis=(np.int64(0), two)).asnumpy().tolist() == [3, 12]
    assert nd.random.uniform(shape=(two, three)).shape == (2, 3)


def test_numpy_integers_in_symbols_and_hybridized_layers():
    two, three = np.int64(2), np.int64(3)
    x = mx.sym.var("x", shape=(two, three, two))
    total = mx.sym.sum(mx.sym.reshape(x, shape=(two, np.int64(6))), axis=(np.int64(1),))
    assert total.infer_shape()[1] == [(2,)]
    layer = mx.gluon.nn.Dense(three, in_units=two)
    layer.hybridize()
    layer.initialize()
    assert layer(nd.ones((4, 2))).shape == (4, 3)


def test_missing_library_names_the_command(tmp_path):
    source = "raise OSError('libarmpl_lp64_mp.so: cannot open shared object file: No such file')"
    line = refusal(tmp_path, source)
    assert "libarmpl_lp64_mp.so" in line and line.endswith("python -m d2l_bn.libraries")


def test_other_version_is_refused(tmp_path):
    line = refusal(tmp_path, "__version__ = '1.6.0'")
    assert "1.6.0" in line and "pip install --no-deps mxnet==1.9.1" in line


def test_broken_installation(tmp_path):
    line = refusal(tmp_path, "raise RuntimeError('Cannot find the MXNet library.')")
    assert "Cannot find the MXNet library" in line and "mxnet==1.9.1" in line


@pytest.mark.parametrize(
    ("name", "remedy"), [("mxnet", "pip install --no-deps mxnet==1.9.1"), ("six", "install six")]
)
def test_missing_package(tmp_path, name, remedy):
    source = f"raise ModuleNotFoundError('No module named {name}', name='{name}')"
    assert refusal(tmp_path, source).endswith(remedy)


@pytest.mark.parametrize("here", [("Darwin", "arm64"), ("Windows", "AMD64"), ("Linux", "riscv64")])
def test_platform_without_mxnet(monkeypatch, here):
    monkeypatch.setattr("platform.system", lambda: here[0])
    monkeypatch.setattr("platform.machine", lambda: here[1])
    text = _compat._explain(ModuleNotFoundError("No module named 'mxnet'", name="mxnet"))
    assert all(word in text for word in (*here, "Docker", "WSL", "conda", "book/install.md"))


def test_mxnet_brings_nothing_else_that_is_heavy():
    heavy = "{'matplotlib', 'tqdm', 'pooch', 'PIL', 'torch', 'tensorflow', 'IPython'}"
    succeed(f"import sys, d2l_bn.nn.layer; found = {heavy} & set(sys.modules); assert not found")


def test_importing_d2l_bn_changes_nothing():
    """It loads neither MXNet nor NumPy, and sets no variable, whatever the command line says."""
    code = """
import os, sys
before, sys.argv = dict(os.environ), ["-m", "train"]
import d2l_bn, d2l_bn.reference
assert dict(os.environ) == before
assert not {"mxnet", "numpy"} & set(sys.modules)
assert d2l_bn.BatchNorm.__name__ == "BatchNorm" and "mxnet" in sys.modules
assert {*d2l_bn.__all__, "checks", "data"} <= set(dir(d2l_bn))
try:
    d2l_bn.batchnorm
except AttributeError as error:
    assert str(error) == "module 'd2l_bn' has no attribute 'batchnorm'"
else:
    raise AssertionError
"""
    succeed(code)


def test_what_needs_no_mxnet_imports_without_it():
    code = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "mxnet":
            raise ModuleNotFoundError("No module named 'mxnet'", name="mxnet")
import d2l_bn
sys.meta_path.insert(0, Missing())
import d2l_bn.data, d2l_bn.reference.mathematics
images = d2l_bn.data.load("sample", log=print).train_images
assert images.shape == (6000, 28, 28)
"""
    succeed(code)


def test_where_mxnet_is_missing_python_says_how_to_install_it():
    code = """
import importlib.machinery, d2l_bn
importlib.machinery.PathFinder.find_spec = lambda name, path=None, target=None: None
import mxnet
"""
    last = run(code).stderr.strip().splitlines()[-1]
    assert last.endswith("Run: pip install --no-deps mxnet==1.9.1")


@pytest.mark.skipif(not installed(), reason="d2l_bn is not installed")
def test_in_the_folder_above_the_clone_the_package_is_found(tmp_path):
    (tmp_path / "d2l_bn").symlink_to(CHECKOUT)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", "import d2l_bn; print(d2l_bn.__version__)"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


STARTS = {  # how the program is started in a folder of somebody else's, and what comes of it
    "as it is": ("", 0, ""),
    "a notebook's pictures": ("MPLBACKEND=module://nowhere", 0, ""),
    "without docstrings": ("PYTHONOPTIMIZE=2", 1, "unset PYTHONOPTIMIZE"),
    "little memory": ("ulimit -v 600000;", 1, "bytes (ulimit -v)"),
    "little data": ("ulimit -d 300000;", 1, "bytes (ulimit -d)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("before, code, said", STARTS.values(), ids=STARTS)
def test_the_program_starts_in_any_folder_or_says_why_not(tmp_path, before, code, said):
    for name in ("tqdm", "platform", "typing", "json", "matplotlib", "numpy", "mxnet"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of a stranger ran')")
    command = f"{before} {sys.executable} -m d2l_bn about"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, code), done.stderr
    assert said in done.stderr


INTERRUPTED = """
import os, runpy, signal, sys
class Interrupting:
    def find_spec(name, path=None, target=None):
        if name == sys.argv[-1]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting)
runpy.run_module("d2l_bn", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "when", ["json", "numpy", "mxnet.base", "mxnet.image", "PIL.Image", "tqdm"]
)
def test_ctrl_c_while_importing_is_one_line(when):
    command = [sys.executable, "-c", INTERRUPTED, "compare", when]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT)
    assert (done.returncode, done.stderr) == (130, "\nd2l-bn compare: stopped\n")


def test_the_source_of_mxnet_can_be_read():
    import inspect

    assert "__version__" in inspect.getsource(mx)
