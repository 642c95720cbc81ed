"""Ways to win without the work. Each is code before the answers, and the answers that it needs.

A cheat earns nothing, or what its honest part earns.
"""

from __future__ import annotations

from typing import NamedTuple

# Where a cheat looks for files and packages: everywhere but in /proc and /sys.
SEARCH = """
import os, sys
def search(word):
    roots = [f"/{d}" for d in os.listdir("/") if d not in ("proc", "sys", "dev")]
    return [os.path.join(d, n) for r in roots for d, ds, fs in os.walk(r) for n in ds + fs
            if word in n]
"""
FIRST, SECOND, THIRD = "last-solution", "axis-solution", "mask-solution"
STUB = """
def {name}(X, *given):
    return X, given[2], given[3]
"""
STUBS = {
    FIRST: STUB.format(name="channels_last"),
    SECOND: STUB.format(name="any_axis"),
    THIRD: "def masked(X, mask, *given):\n    return X, given[2], given[3]\n",
}


class Cheat(NamedTuple):
    """Code in the first cell, the other cells, the exercise, and the most points it may earn."""

    code: str
    cells: dict = STUBS
    exercise: str = "1-batch-norm"
    most: float = 0


def first(call: str, before: str = "") -> Cheat:
    """A `channels_last` that leaves the work to somebody else."""
    code = (
        f"import mxnet as mx\nfrom mxnet import gluon\n{before}\n"
        "def channels_last(X, gamma, beta, moving_mean, moving_var, eps, momentum):\n"
        f"    Y = {call}\n    return Y, moving_mean, moving_var\n"
    )
    return Cheat(code, {**STUBS, FIRST: code})


def patched(code: str) -> Cheat:
    """Code that runs before the answers, which do nothing."""
    return Cheat(code, {**STUBS, FIRST: f"{code}\n{STUBS[FIRST]}"})


def answers(text: str) -> Cheat:
    """Answers that become another text on their way out."""
    main = "import sys\nmain = sys.modules['__main__']\nold = main.dumps"
    return patched(f"{main}\nmain.dumps = lambda v: {text}")


def by_hand(code: str) -> Cheat:
    """A gradient that is not by hand."""
    return Cheat(code, {"backward-solution": code}, "3-the-gradient")


LIE = (
    "def lie(*a, **k):\n"
    "    value = {'kind': '', 'type': 'NDArray', 'dtype': 'float32', 'array': X}\n"
    "    return {'result': {'kind': '', 'many': 3, 'values': [value] * 3}, 'gradients': [],\n"
    "            'after': [], 'ready_made': []}\n"
    "import numpy\nX = numpy.zeros((2, 2))\n"
)
BATCH_NORM = (
    "nd.BatchNorm(X, gamma, beta, moving_mean, moving_var, eps=eps, fix_gamma=False, axis=-1)"
)
SYMBOL = (
    "s = [mx.sym.var(n) for n in 'xgbmv']\n"
    "graph = mx.sym.FullyConnected(*s[:3], num_hidden=1, name='f').tojson()\n"
    "graph = graph.replace('FullyConnected', 'Batch' + 'Norm').replace('\"num_hidden\": \"1\"', "
    '\'"axis": "-1"\')\n'
)
CTYPES = """
import ctypes
from mxnet.base import _LIB, NDArrayHandle, check_call
def invoke(name, arrays, outputs, **options):
    op = ctypes.c_void_p()
    check_call(_LIB.NNGetOpHandle(name.encode(), ctypes.byref(op)))
    given = (ctypes.c_void_p * len(arrays))(*[a.handle for a in arrays])
    count, out = ctypes.c_int(0), ctypes.POINTER(ctypes.c_void_p)()
    keys = (ctypes.c_char_p * len(options))(*[k.encode() for k in options])
    values = (ctypes.c_char_p * len(options))(*[str(v).encode() for v in options.values()])
    kinds = ctypes.POINTER(ctypes.c_int)()
    check_call(_LIB.MXImperativeInvokeEx(op, len(arrays), given, ctypes.byref(count),
        ctypes.byref(out), len(options), keys, values, ctypes.byref(kinds)))
    return nd.NDArray(ctypes.c_void_p(out[0]))
"""
FORWARD = """
import numpy as np
def forward(X, gamma, eps):
    D = X - X.mean(axis=0)
    return gamma * D / np.sqrt((D * D).mean(axis=0) + eps)
"""
CHEATS = {
    # Kinds that won against tests in the student's own process.
    "functions of the worker, by an alias": patched(
        f"{LIE}import sys\nw = sys.modules['__main__']\nw.ask = lie\nvars(w)['ask'] = lie"
    ),
    "a method, by its class": patched(
        f"{LIE}from d2l_bn.checks.answers import Answers as A\nfor n in dir(A):\n"
        "    if n[0] != '_':\n        setattr(A, n, lie)"
    ),
    "keyword defaults": patched(
        "import d2l_bn.checks.answers as a\n"
        "a.Answers.call.__wrapped__.__kwdefaults__['mode'] = ''\n"
        "a._result.__defaults__ = ()"
    ),
    "by timeit": patched(f"import timeit\ntimeit.timeit({LIE!r}, number=1)"),
    "by pickle": patched(
        "import pickle\nclass P:\n    def __reduce__(self): return exec, ('import sys; "
        'sys.modules["__main__"].dumps = lambda *a: "{}"\',)\npickle.loads(pickle.dumps(P()))'
    ),
    "by mock": patched(
        "from unittest import mock\nimport sys\n"
        "mock.patch.object(sys.modules['__main__'], 'ask', lambda *a: {'points': 99}).start()"
    ),
    "by a pool of threads": patched(
        "from concurrent.futures import ThreadPoolExecutor as P\nimport os, time\n"
        "def forge():\n    while True:\n        for n in range(3, 9):\n            try: "
        "os.write(n, b'{\"points\": 3}\\n')\n            except OSError: pass\n"
        "        time.sleep(.1)\nP(4).submit(forge)"
    ),
    "an operator from a string": first(
        BATCH_NORM.replace("nd.BatchNorm", "getattr(nd, 'Batch' + 'Norm')")
    ),
    "an operator from the module that makes them": first(
        "mx.nd.op.BatchNorm(X, gamma, beta, moving_mean, moving_var, axis=-1)"
    ),
    "an operator from a graph's JSON": first(
        "gluon.SymbolBlock(mx.sym.load_json(graph), [s[0]])(X)", SYMBOL
    ),
    "comparisons of NumPy's replaced": patched(
        "import numpy as n\nfor f in ('allclose', 'array_equal', 'abs', 'isfinite', 'all'):\n"
        "    setattr(n, f, lambda *a, **k: n.True_)"
    ),
    "the pipe read and answered": patched(
        "import os, threading, json\n"
        "def steal():\n"
        "    for n in range(3, 12):\n"
        "        try:\n"
        "            line = os.read(n, 10 ** 7)\n"
        "            request = json.loads(line)\n"
        "            zeros = {'kind': '', 'type': 'NDArray', 'dtype': '', 'array': 0}\n"
        "            answer = {'token': request['token'], 'ready_made': [], 'after': [],\n"
        "                'result': {'kind': '', 'many': 3, 'values': [zeros] * 3}}\n"
        "            os.write(n + 1, (json.dumps(answer) + '\\n').encode())\n"
        "        except Exception: pass\n"
        "threading.Thread(target=steal, daemon=True).start()"
    ),
    "memory searched": patched(
        "import gc, os\nseen = [o for o in gc.get_objects() if isinstance(o, dict) and "
        "('expected' in o or 'secret' in o or 'seed' in o)]\nprint(seen)\n"
        "for p in os.listdir('/proc'):\n    if p.isdigit():\n        try: "
        "print(p, len(open(f'/proc/{p}/mem', 'rb').read(9)))\n        except OSError: pass"
    ),
    # Others.
    "an operator by the C interface": first(
        "invoke('BatchNorm', [X, gamma, beta, moving_mean, moving_var], 1, axis=-1)", CTYPES
    ),
    "layer normalization, turned": first(
        "nd.LayerNorm(X.reshape((-1, X.shape[-1])).T, nd.ones(X.size // X.shape[-1]), "
        "nd.zeros(X.size // X.shape[-1]), eps=eps).T.reshape(X.shape) * gamma + beta"
    ),
    "instance normalization, by the C interface": first(
        "invoke('InstanceNorm', [X.reshape((1, -1, X.shape[-1])).swapaxes(1, 2), gamma, beta], 1, "
        "eps=eps).swapaxes(1, 2).reshape(X.shape)",
        CTYPES,
    ),
    "Gluon's layer, hybrid": first(
        "run(X)",
        "def run(X):\n    layer = gluon.nn.BatchNorm(axis=-1)\n    layer.initialize()\n"
        "    layer.hybridize()\n    return layer(X)",
    ),
    "an executor": first(
        "graph.bind(mx.cpu(), {'x': X, 'g': gamma, 'b': beta}, aux_states={'m': moving_mean, "
        "'v': moving_var}).forward(is_train=True)[0]",
        "graph = mx.sym.BatchNorm(*[mx.sym.var(n) for n in 'xgbmv'], axis=-1)",
    ),
    "the library's function": first(
        "d2l_bn.batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum)[0]",
        "import d2l_bn",
    ),
    "another framework": first(
        "nd.array(F.batch_norm(torch.tensor(X.asnumpy()), None, None, training=True))",
        SEARCH + "sys.path += search('-packages')\nimport torch\nimport torch.nn.functional as F",
    ),
    "answers found on the disk": patched(
        SEARCH + "found = [p for w in ('normalization', 'function', 'mathematics', 'layer')\n"
        "         for p in search(w + '.py') if 'd2l' in p]\nprint(found)\n"
        "exec(open(found[0]).read())"
    ),
    "examples written down": first(
        "nd.array(known[X.shape]) if X.shape in known else X", "known = {}"
    ),
    "an array that equals all": patched(
        "import numpy\nclass Equal(numpy.ndarray):\n"
        "    def __array_function__(self, *given): return True\n"
        "    def __eq__(self, other): return True\n"
        "nd.NDArray.asnumpy = lambda self: numpy.zeros(self.shape).view(Equal)"
    ),
    "no numbers": first("X * float('nan')"),
    "too many numbers": first("nd.zeros((3000, 3000))"),
    "a bomb of nested text": answers("'[' * 10 ** 6"),
    "an array that lies about its size": answers(
        "old(v).replace('\"shape\": [', '\"shape\": [1000000000, ')"
    ),
    "an answer that takes fifty times its bytes": answers(
        "old(v)[:-1] + ', \"x\": [' + '[],' * 9000000 + '[]]}'"
    ),
    "an answer of millions of numbers": answers(
        "old(v)[:-1] + ', \"x\": [' + '.1,' * 9000000 + '1]}'"
    ),
    "an array of objects": answers("old(v).replace('\"float32\"', '\"object\"')"),
    "an answer twice": answers("old(v) + '\\n' + old(v)"),
    "a failure that looks like success": patched(
        "class CheckFailed(SystemExit): pass\ndef channels_last(*a): raise CheckFailed(0)"
    ),
    "an early end": patched("import os\nos._exit(0)"),
    "a process that stays": patched(
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    while True: time.sleep(1)"
    ),
    "checks that say yes": patched(
        "from d2l_bn import checks\nfor n in ('channels_last', 'any_axis', 'masked'):\n"
        "    setattr(checks, n, lambda *a: None)"
    ),
    "points printed": patched("print('last-training: right', '15 of 15')"),
    "a difference quotient": by_hand(
        FORWARD + "def backward(dY, X, gamma, eps):\n"
        "    dX = np.empty_like(X)\n"
        "    for i in range(len(X)):\n"
        "        H = X.copy(); H[i] += 1e-6; L = X.copy(); L[i] -= 1e-6\n"
        "        dX[i] = (dY * (forward(H, gamma, eps) - forward(L, gamma, eps))).sum(0) / 2e-6\n"
        "    one = np.eye(len(gamma))\n"
        "    dgamma = [(dY * (forward(X, gamma + h, eps) - forward(X, gamma, eps))).sum() "
        "for h in one]\n"
        "    return dX, np.array(dgamma), dY.sum(axis=0)\n"
    )._replace(most=2),
    "a complex step": by_hand(
        FORWARD + "def backward(dY, X, gamma, eps):\n"
        "    dX = np.empty_like(X)\n"
        "    for i in range(len(X)):\n"
        "        H = X.astype(complex); H[i] += 1e-200j\n"
        "        dX[i] = (dY * forward(H, gamma, eps).imag).sum(0) / 1e-200\n"
        "    dgamma = [(dY[:, j] * forward(X[:, j:j+1], 1, eps)[:, 0]).sum() "
        "for j in range(len(gamma))]\n"
        "    return dX, np.array(dgamma), dY.sum(axis=0)\n"
    )._replace(most=5),
    "one imaginary step, along dY": by_hand(
        FORWARD + "def backward(dY, X, gamma, eps):\n"
        "    dX = forward(X + 1e-30j * dY, gamma, eps).imag / 1e-30\n"
        "    return dX, (dY * forward(X, 1, eps)).sum(axis=0), dY.sum(axis=0)\n"
    )._replace(most=5),  # for gamma and beta, which are right
    "autograd for the gradient by hand": by_hand(
        SEARCH + "sys.path += search('-packages')\n"
        "from mxnet import autograd, nd\nimport numpy as np\n"
        "def backward(dY, X, gamma, eps):\n    X = nd.array(X, dtype='float64')\n"
        "    X.attach_grad()\n    with autograd.record():\n"
        "        Y = nd.array(gamma, dtype='float64') * (X - X.mean(axis=0))\n"
        "    Y.backward(nd.array(dY, dtype='float64'))\n"
        "    return X.grad.asnumpy(), gamma, dY.sum(axis=0)\n"
    ),
    "MXNet's library loaded by hand": by_hand(
        SEARCH + "import ctypes\nfound = search('libmxnet')\n"
        "library = ctypes.CDLL(found[0])\ndef backward(*given): return library"
    ),
}
CLASS = """
class BatchNorm(nn.Block):
    def __init__(self, num_features):
        super().__init__()
        shape = (num_features,)
        self.gamma = self.params.get("gamma", shape=shape, init="ones")
        self.beta = self.params.get("beta", shape=shape, init="zeros")
        self.moving_mean, self.moving_var = nd.zeros(shape), nd.zeros(shape)

    def forward(self, X):
        {forward}
"""


def layer(forward: str, code: str = "", most: float = 0) -> Cheat:
    """A layer, with code before it."""
    source = f"{code}\n{CLASS.format(forward=forward)}"
    return Cheat(code, {"layer-solution": source}, "2-the-layer", most)


PLAIN = (
    "Y, self.moving_mean, self.moving_var = batch_norm(X.reshape((-1, X.shape[-1])), "
    "self.gamma.data(X.context), self.beta.data(X.context), "
    "self.moving_mean.as_in_context(X.context), "
    "self.moving_var.as_in_context(X.context), 1e-5, 0.9)\n        return Y.reshape(X.shape)"
)
CHEATS |= {
    "a layer that lies about its state": layer(
        "return X",
        "from d2l_bn.checks.answers import Answers\nold = Answers.state\n"
        "def state(self, *a, **k):\n    held = old(self, *a, **k)\n"
        "    for v in held.values():\n        if isinstance(v, dict):\n"
        "            v.update(registered=True, trained=True, shared=False, context=1)\n"
        "    return held\nAnswers.state = state",
        most=2,  # its parameters are as they should be
    ),
    "a layer that is kept instead of saved": layer(
        PLAIN,
        "from d2l_bn.checks.answers import Answers\nimport numpy\nkept = []\n"
        "def save(self, name, key):\n    kept.append(self.layers[key])\n"
        "    return {'file': numpy.zeros(1, 'uint8'), 'ready_made': []}\n"
        "def load(self, name, key, arguments, file):\n    self.layers[key] = kept[-1]\n"
        "    return {'ready_made': []}\nAnswers.save, Answers.load = save, load",
        most=7,  # all but saving
    ),
    "Gluon's layer under another name": layer(
        "return self.ready(X)",
        "old = nn.Block.__init__\nmake = getattr(nn, 'Batch' + 'Norm')\n"
        "def ready(self, X):\n    one = make(center=False, scale=False)\n    one.initialize()\n"
        "    return self.gamma.data() * one(X) + self.beta.data()\nnn.Block.ready = ready",
        most=2,
    ),
}
