"""The three ways to compute batch normalization: whatever holds for one has to hold for all."""

from __future__ import annotations

import pytest

from d2l_bn.nn import operator
from d2l_bn.nn.layer import IMPLEMENTATIONS


@pytest.fixture(params=[name for name in IMPLEMENTATIONS if name != "auto"])
def each_implementation(request, monkeypatch):
    """Run a test once with each way in the place of the fastest one."""
    if request.param == "operator" and not operator.available():
        pytest.skip(f"no compiled operator: {operator.status().why_not}")
    monkeypatch.setitem(IMPLEMENTATIONS, "auto", IMPLEMENTATIONS[request.param])
    return request.param
