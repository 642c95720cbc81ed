"""The compiled operator, beside the mathematics in NumPy float64; and how it is built and kept."""

from __future__ import annotations

import hashlib
import locale
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from d2l_bn import BatchNorm
from d2l_bn.nn import build, normalization, operator, trial
from d2l_bn.reference.mathematics import prediction, training

import mxnet as mx
from mxnet import autograd, nd

EPS, MOMENTUM = 1e-5, 0.9
ROOT = Path(__file__).parents[2]
SHAPES = [
    (2, 1), (5, 3), (256, 120), (7, 513), (3, 9000),
    (2, 1, 1, 1), (4, 300, 1, 1), (4, 3, 5, 7), (33, 6, 24, 24), (5, 513, 3, 3), (2, 2, 120, 121),
]  # fmt: skip

needs_operator = pytest.mark.skipif(not operator.available(), reason="no compiler")


def expected(X, gamma, beta, moving_mean, moving_var, dY, *, given=False):
    """Output, gradients of X, gamma and beta, and the new averages, in float64."""
    values = (X, gamma, beta, dY, moving_mean, moving_var)
    values = [array.asnumpy().astype("float64") for array in values]
    return list(prediction(*values)[:4] if given else training(*values))


def computed(X, gamma, beta, moving_mean, moving_var, dY, *, given=False):
    """The same from the operator."""
    for array in (X, gamma, beta):
        array.attach_grad()
    with autograd.record(), autograd.predict_mode() if given else autograd.train_mode():
        Y, *new = operator.batch_norm(X, gamma, beta, moving_mean, moving_var, EPS, MOMENTUM)
    new = () if given else new
    Y.backward(dY)
    return [array.asnumpy() for array in (Y, X.grad, gamma.grad, beta.grad, *new)]


def arrays(shape, dtype="float32", offset=0.0, seed=0):
    """X, gamma, beta, moving_mean, moving_var and a gradient of the output."""
    rng = np.random.default_rng(seed)
    per_channel = (1, shape[1]) + (1, 1) * (len(shape) == 4)
    values = [
        rng.normal(offset, 2, shape),
        rng.uniform(-2, 2, per_channel),
        rng.normal(size=per_channel),
        rng.normal(offset, 1, per_channel),
        rng.uniform(0.5, 2, per_channel),
        rng.normal(size=shape),
    ]
    return [nd.array(value, dtype=dtype) for value in values]


def assert_equal(found, wanted, m, tolerance):
    """Up to rounding: `tolerance` of a value, and of the terms that a sum has."""
    names = ["Y", "dX", "dgamma", "dbeta", "moving_mean", "moving_var"]
    for name, array, right in zip(names, found, wanted):
        right = right.reshape(array.shape)
        terms = np.sqrt(m) if name in ("dgamma", "dbeta") else 1
        np.testing.assert_allclose(
            array, right, rtol=tolerance, atol=tolerance * terms, err_msg=name, equal_nan=True
        )


TOLERANCE = {"float32": 2.5e-7, "float64": 2e-12}


@needs_operator
@pytest.mark.parametrize("given", [False, True], ids=["batch", "given"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_output_gradients_and_averages(shape, dtype, given):
    inputs = arrays(shape, dtype)
    m = inputs[0].size // shape[1]
    found, wanted = computed(*inputs, given=given), expected(*inputs, given=given)
    assert all(array.dtype == np.dtype(dtype) for array in found)
    assert_equal(found, wanted, m, TOLERANCE[dtype])


@needs_operator
def test_a_scale_of_zero():
    inputs = arrays((16, 3, 4, 4))
    inputs[1][:] = 0
    found = computed(*inputs)
    assert_equal(found, expected(*inputs), 256, 2.5e-7)
    assert not found[1].any() and found[2].all()


@needs_operator
@pytest.mark.parametrize("train_mode", [True, False])
def test_parameters_that_are_shared(train_mode):
    """A gradient is added up over all uses."""
    X, gamma, beta, mean, var, dY = arrays((8, 3))
    for array in (gamma, beta):
        array.attach_grad()
    values = X, gamma, beta, mean, var, EPS, MOMENTUM
    with autograd.record(train_mode=train_mode):
        Y = operator.batch_norm(*values)[0] + operator.batch_norm(*values)[0]
    Y.backward(dY)
    once = expected(X, gamma, beta, mean, var, dY, given=not train_mode)
    np.testing.assert_allclose(gamma.grad.asnumpy(), 2 * once[2], rtol=1e-5)


@needs_operator
@pytest.mark.parametrize("shape", [(8, 3), (4, 3, 5, 5)], ids=str)
def test_gradients_are_added_where_that_was_asked(shape):
    """MXNet doesn't pass grad_req="add" on to loaded operators, which overwrite then."""
    X, gamma, beta, mean, var, dY = arrays(shape)
    layer = BatchNorm(shape[1], len(shape), implementation="operator")
    layer.initialize()
    X.attach_grad(grad_req="add")
    for parameter, value in ((layer.gamma, gamma), (layer.beta, beta)):
        parameter.set_data(value)
        parameter.grad_req = "add"
    for _ in range(3):
        with autograd.record():
            Y = layer(X)
        Y.backward(dY)
    wanted = expected(X, gamma, beta, mean, var, dY)
    for gradient, right in zip((X.grad, layer.gamma.grad(), layer.beta.grad()), wanted[1:4]):
        np.testing.assert_allclose(
            gradient.asnumpy(), 3 * right.reshape(gradient.shape), rtol=1e-4, atol=1e-5
        )


@needs_operator
def test_moving_averages_are_outside_of_the_record():
    X, gamma, beta, mean, var, _ = arrays((8, 3))
    mean.attach_grad()
    with autograd.record():
        Y, new_mean, new_var = operator.batch_norm(X, gamma, beta, mean, var, EPS, MOMENTUM)
    for average in (new_mean, new_var):
        with pytest.raises(mx.MXNetError, match="not in a computational graph"):
            average.backward()
    Y.backward()
    assert not mean.grad.asnumpy().any()  # zeros, as documented


@needs_operator
def test_a_gradient_of_the_gradient_is_refused():
    X, gamma, beta, mean, var, _ = arrays((8, 3))
    X.attach_grad()
    with autograd.record():
        Y = operator.batch_norm(X, gamma, beta, mean, var, EPS, MOMENTUM)[0]
        (dX,) = autograd.grad(Y, [X], create_graph=True)
        loss = (dX * dX).sum()
    with pytest.raises(mx.MXNetError, match="FGradient"):
        loss.backward()


@needs_operator
@pytest.mark.parametrize(
    "change",
    [
        {1: nd.ones((1, 4))},
        {4: nd.ones((1, 3), dtype="float64")},
        {0: nd.ones((8, 3), dtype="int32")},
        {0: nd.ones(3)},
    ],
)
def test_what_would_read_beside_an_array_is_refused(change):
    """By the operator itself too, for whoever calls it past the checks of `batch_norm`."""
    inputs = arrays((8, 3))[:5]
    for place, array in change.items():
        inputs[place] = array
    with pytest.raises(mx.MXNetError):
        mx.nd.d2l_batch_norm(*inputs, eps=EPS, momentum=MOMENTUM)[0].wait_to_read()


@needs_operator
def test_a_country_with_a_decimal_comma():
    inputs = arrays((8, 3))
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
    except locale.Error:
        pytest.skip("no such locale here")
    try:
        found = computed(*inputs)
    finally:
        locale.setlocale(locale.LC_ALL, before)
    assert_equal(found, expected(*inputs), 8, 2.5e-7)


@needs_operator
def test_subnormal_numbers_stay():
    """A library linked with -ffast-math makes zeros of them, in the whole process."""
    X, *rest, _ = arrays((64, 3, 16, 16))
    with autograd.train_mode():
        operator.batch_norm(X, *rest, EPS, MOMENTUM)[0].wait_to_read()
    assert np.float32(1e-40) * np.float32(0.5) != 0
    assert (nd.array([1e-40]) * 0.5).asnumpy()[0] != 0  # in MXNet's thread


@needs_operator
def test_contexts_stay():
    X, *rest = (array.copyto(mx.cpu(1)) for array in arrays((8, 3))[:5])
    with autograd.train_mode():
        results = operator.batch_norm(X, *rest, EPS, MOMENTUM)
    assert [array.context for array in results] == [mx.cpu(1)] * 3


@needs_operator
def test_symbols():
    names = ["X", "gamma", "beta", "mean", "var"]
    symbols = [mx.sym.Variable(name) for name in names]
    net = mx.sym.d2l_batch_norm(*symbols, eps=EPS, momentum=MOMENTUM, name="norm")
    net = mx.sym.load_json(net.tojson())
    values = arrays((4, 3, 5, 5))
    executor = net[0].simple_bind(mx.cpu(), **{n: v.shape for n, v in zip(names, values)})
    for name, value in zip(names, values):
        executor.arg_dict[name][:] = value
    (Y,) = executor.forward(is_train=True)
    executor.backward(values[5])
    wanted = expected(*values)
    np.testing.assert_allclose(Y.asnumpy(), wanted[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(executor.grad_dict["X"].asnumpy(), wanted[1], rtol=1e-5, atol=1e-6)


# Processes of their own. A compiler that takes no time stands in for the real one: it counts how
# often it is called, and hands out the library that this process has.

USE = """
import d2l_bn
from d2l_bn.nn import operator
from mxnet import autograd, nd
ok = operator.available()
if ok:
    X, v = nd.random.normal(shape=(8, 3)), nd.ones((1, 3))
    with autograd.train_mode():
        Y = operator.batch_norm(X, v, v, v, v, 1e-5, 0.9)[0].asnumpy()
    assert abs(Y.mean() - 1) < 1e-5, Y
print("compiled" if ok else "not compiled", operator.status().path)
"""


def environment(cache, **changes):
    env = {key: value for key, value in os.environ.items() if not key.startswith("D2L_BN")}
    env.update(XDG_CACHE_HOME=str(cache), PYTHONPATH=str(ROOT), **changes)
    env.pop("CXX", None) if "CXX" not in changes else None
    return env


def start(cache, code=USE, **changes):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(cache, **changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    usual = "engine", "compiling the operator"
    return out, [line for line in err.splitlines() if not any(text in line for text in usual)]


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """A stand-in for a compiler, which leaves a line for each of its calls beside it."""
    if not operator.available():
        pytest.skip("no compiler")
    folder = tmp_path_factory.mktemp("stand-in")
    library, script = folder / "library.so", folder / "quick-c++"
    with build.library() as path:
        shutil.copy(path, library)
    script.write_text(
        f'#!/bin/sh\necho $$ >> "{folder}/calls"\nsleep "${{QUICK_SLEEP:-0}}"\n'
        f'for last; do :; done\ncp "{library}" "$last"\n'
    )
    script.chmod(0o755)
    return script


@pytest.fixture
def quick(stand_in):
    """The stand-in, and the file that has a line for each of its calls in this test."""
    calls = stand_in.with_name("calls")
    calls.unlink(missing_ok=True)
    return stand_in, calls


@pytest.fixture(scope="module")
def built(stand_in, tmp_path_factory):
    """A cache with what the stand-in has built."""
    cache = tmp_path_factory.mktemp("built") / "cache"
    out, err = finish(start(cache, CXX=str(stand_in)))
    assert out.startswith("compiled") and not err
    return cache


@pytest.fixture
def filled(built, tmp_path):
    """A copy of that cache, to be changed, and the library in it."""
    cache = shutil.copytree(built, tmp_path / "filled")
    (library,) = libraries(cache)
    return cache, library


def libraries(cache):
    return list((cache / "d2l_bn-operator").glob("*.so"))


@pytest.mark.slow
def test_six_that_start_at_once_build_once(tmp_path, quick):
    script, calls = quick
    cache = tmp_path / "cache"
    processes = [start(cache, CXX=str(script), QUICK_SLEEP="1") for _ in range(6)]
    for process in processes:
        out, err = finish(process)
        assert out.startswith("compiled") and str(cache) in out and not err
    assert len(calls.read_text().split()) == 1
    assert len(libraries(cache)) == 1


@pytest.mark.slow
def test_one_that_is_killed_while_it_compiles(tmp_path, quick):
    script, calls = quick
    cache = tmp_path / "cache"
    killed = start(cache, CXX=str(script), QUICK_SLEEP="5")
    waiting = start(cache, CXX=str(script))
    while not calls.exists():
        time.sleep(0.02)
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert finish(waiting)[0].startswith("compiled")
    assert finish(start(cache, CXX=str(script)))[0].startswith("compiled")


@pytest.fixture
def chosen(filled, quick, monkeypatch):
    """Which library this process would load now, from the cache or built anew: path and bytes."""
    (cache, _), (script, _) = filled, quick
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("CXX", str(script))

    def choose():
        with build.library() as path:
            return path, path.read_bytes()

    return choose


@pytest.mark.slow
def test_a_file_that_is_whole_is_loaded(filled, quick, chosen):
    (_, library), (_, calls) = filled, quick
    assert chosen() == (library, library.read_bytes())
    assert not calls.exists()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [b"", b"not a library", None], ids=["empty", "text", "half"])
def test_a_broken_file_is_never_loaded(filled, quick, chosen, damage):
    (_, library), (_, calls) = filled, quick
    content = library.read_bytes()
    library.write_bytes(content[: len(content) // 2] if damage is None else damage)
    assert chosen() == (library, content)
    assert len(calls.read_text().split()) == 1  # built anew
    assert library.read_bytes() == content


@pytest.mark.slow
@pytest.mark.parametrize("what", ["folder", "parent", "file"])
def test_what_others_can_write_to_is_not_loaded(filled, quick, chosen, capsys, what):
    (_, library), (_, calls) = filled, quick
    place = {"folder": library.parent, "parent": library.parents[1], "file": library}[what]
    place.chmod(0o777)
    path, _ = chosen()
    assert len(calls.read_text().split()) == 1
    if what == "file":  # which was replaced
        assert path == library and library.stat().st_mode & 0o022 == 0
    else:
        assert path.parent != library.parent and not path.exists()  # it was for this process alone
        assert "chmod go-w" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_another_user_owns_is_not_loaded(filled, quick, chosen):
    (_, library), (_, calls) = filled, quick
    os.chown(library, 65534, 65534)
    assert chosen()[0] == library and library.stat().st_uid == 0
    assert len(calls.read_text().split()) == 1


@pytest.mark.slow
def test_a_cache_that_cannot_be_written(tmp_path, quick):
    """Below a file: nobody can, root neither. Built for the process alone, and removed after it."""
    script, _ = quick
    (tmp_path / "file").touch()
    out, err = finish(start(tmp_path / "file" / "cache", CXX=str(script), TMPDIR=str(tmp_path)))
    assert out.startswith("compiled") and len(err) == 1 and "this process alone" in err[0]
    assert not list(tmp_path.glob("d2l_bn-*"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_disk_that_is_full(tmp_path, quick):
    script, _ = quick
    cache = tmp_path / "cache"
    code = (
        "import tempfile, os\n"
        "def mkstemp(prefix, dir):\n"
        "    open(dir / 'full', 'w').close()\n"
        "    return os.open('/dev/full', os.O_WRONLY), str(dir / 'full')\n"
        "tempfile.mkstemp = mkstemp\n" + USE
    )
    out, err = finish(start(cache, code, CXX=str(script)))
    assert out.startswith("compiled") and len(err) == 1 and "No space left" in err[0]
    assert not libraries(cache)


def test_an_interruption_leaves_no_part_of_a_library(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    (tmp_path / "built").write_bytes(b"library")
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(build.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build._keep(tmp_path / "built", folder, "key")
    assert not list(folder.iterdir())


def test_what_nobody_needs_any_more_is_removed(tmp_path, monkeypatch):
    cache, temporary = tmp_path / "cache", tmp_path / "temporary"
    names = f"{build.PREFIX}old", f"{build.PREFIX}new", "old.so", "new.so", "old.txt"
    for place in (cache, temporary):
        place.mkdir()
        for name in names:
            path = place / name
            path.mkdir() if place == temporary else path.touch()
            days = (build.STALE_DAYS if "so" not in name else build.KEPT_DAYS) + 1
            if "old" in name:
                os.utime(path, (0, time.time() - days * 24 * 3600))
    monkeypatch.setattr(build.tempfile, "gettempdir", lambda: str(temporary))
    build._clean(cache)
    assert {path.name for path in cache.iterdir()} == {names[1], "new.so", "old.txt"}
    assert {path.name for path in temporary.iterdir()} == set(names[1:])


def test_a_compiler_that_hangs_has_failed_and_the_next_options_are_tried(tmp_path, monkeypatch):
    script, calls = tmp_path / "hanging-c++", tmp_path / "calls"
    script.write_text(f'#!/bin/sh\necho call >> "{calls}"\nexec sleep 60\n')
    script.chmod(0o755)
    monkeypatch.setattr(build, "BUILD_SECONDS", 0.3)
    with pytest.raises(build.Unavailable, match=r"took more than 0\.3 seconds"):
        build._build([str(script)], tmp_path)
    assert len(calls.read_text().split()) == len(build.OPTIONS)


@pytest.mark.parametrize("what", ["Y", "mean", "var", "dX", "dgamma", "dbeta", ""])
def test_a_trial_finds_what_is_wrong(monkeypatch, what):
    """Float64 in training mode alone is made wrong, in one of the results."""

    def results(batch_norm, shape, dtype, train):
        arrays = honest(batch_norm, shape, dtype, train)
        names = ["Y", "mean", "var", "dX", "dgamma", "dbeta"]
        wrong = (batch_norm, dtype, train) == (operator.batch_norm, "float64", True)
        return [a * (1 + 0.01 * (wrong and n == what)) for n, a in zip(names, arrays)]

    honest = trial._results
    monkeypatch.setattr(trial, "_results", results)
    monkeypatch.setattr(operator, "load", lambda path: None)
    monkeypatch.setattr(operator, "batch_norm", lambda *given: normalization.batch_norm(*given))
    if what:
        with pytest.raises(ArithmeticError, match=f"wrong {what} .* float64, training True"):
            trial.run(Path("library.so"))
    else:
        trial.run(Path("library.so"))


@pytest.mark.slow
def test_without_a_compiler_it_goes_on_and_says_so_once(tmp_path):
    for changes in ({"PATH": str(tmp_path)}, {"CXX": "/nonexistent/c++"}):
        twice = USE + "operator.available()\n"
        out, err = finish(start(tmp_path / "cache", twice, **changes))
        assert out.startswith("not compiled")
        assert len(err) == 1 and "apt-get install g++" in err[0]


@pytest.mark.slow
def test_a_compiler_that_fails(tmp_path):
    out, err = finish(start(tmp_path / "cache", CXX=shutil.which("false")))
    assert out.startswith("not compiled") and len(err) == 1


@pytest.mark.slow
def test_a_library_that_crashes_is_not_loaded(tmp_path):
    """It is tried in another process, with all options."""
    script = tmp_path / "crashing-c++"
    script.write_text("#!/bin/sh\nfor last; do :; done\necho garbage > $last\n")
    script.chmod(0o755)
    out, err = finish(start(tmp_path / "cache", CXX=str(script)))
    assert out.startswith("not compiled") and len(err) == 1
    assert not libraries(tmp_path / "cache")


@pytest.mark.slow
def test_switched_off(tmp_path):
    out, err = finish(start(tmp_path / "cache", D2L_BN_OPERATOR="0"))
    assert out.startswith("not compiled") and not err
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_four_threads_that_come_first(tmp_path, quick):
    script, calls = quick
    code = f"""
import threading
results = []
def use():
    exec({USE!r}, {{}})
    results.append(1)
import d2l_bn
threads = [threading.Thread(target=use) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(results) == 4
"""
    out, err = finish(start(tmp_path / "cache", code, CXX=str(script), QUICK_SLEEP="1"))
    assert out.count("compiled") == 4 and not err
    assert len(calls.read_text().split()) == 1


FORK = """
import os, threading
import d2l_bn
from d2l_bn.nn import operator
from mxnet import autograd, nd
X, v = nd.random.normal(shape=(64, 8, 24, 24)), nd.ones((1, 8, 1, 1))
def use():
    X.attach_grad()
    with autograd.record():
        Y = operator.batch_norm(X, v, v, v, v, 1e-5, 0.9)[0]
    if {train}:
        Y.backward()
    return Y.asnumpy().tobytes()
nd.Convolution(X, nd.ones((8, 8, 3, 3)), kernel=(3, 3), num_filter=8, no_bias=True).wait_to_read()
before = use() if {first} else None
child = os.fork()
if not child:
    os._exit(0 if {first} and use() == before or not {first} and use() else 1)
timer = threading.Timer(30, lambda: os.kill(child, 9))
timer.start()
_, status = os.waitpid(child, 0)
timer.cancel()
assert status == 0, status
use()
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", [True, False], ids=["used before", "used after"])
@pytest.mark.parametrize(
    "engine",
    [{}, {"MXNET_ENGINE_TYPE": "NaiveEngine", "OMP_NUM_THREADS": "2"}],
    ids=["default", "naive"],
)
def test_forks(built, stand_in, engine, first):
    """A fork has no threads of OpenMP, but would wait for them.

    With NaiveEngine and two threads MXNet's own gradients do, so there it is the output alone.
    """
    code = FORK.format(first=first, train=not engine)
    finish(start(built, code, CXX=str(stand_in), **engine))


@pytest.mark.slow
def test_the_same_bits_from_any_number_of_threads(built, stand_in):
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_operator import hashes
print(hashes())
"""
    naive = {"MXNET_ENGINE_TYPE": "NaiveEngine", "CXX": str(stand_in)}
    for threads in "123":
        assert finish(start(built, code, OMP_NUM_THREADS=threads, **naive))[0] == f"{hashes()}\n"


def hashes():
    """Of all results for some shapes."""
    return [
        hashlib.sha256(b"".join(a.tobytes() for a in computed(*arrays(shape)))).hexdigest()
        for shape in [(64, 6, 24, 24), (3000, 70), (3, 5, 100, 100)]
    ]


@pytest.mark.slow
@needs_operator
@pytest.mark.parametrize(
    "options", build.OPTIONS[1:], ids=lambda options: " ".join(options) or "none"
)
def test_all_options_compile(tmp_path, monkeypatch, options):
    """What other compilers would refuse is left out; all other tests have the first options.

    Not optimized: it takes half the time, and what is tried is that it compiles.
    """
    monkeypatch.setattr(build, "OPTIONS", ((*options, "-O0"),))
    path = build._build(build._compiler(), tmp_path)
    assert path.stat().st_size > 10_000
