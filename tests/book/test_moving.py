"""The explorables in a real browser: their numbers are the library's, and they can be moved."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

import browser as browsers
import numpy as np
import pytest

import d2l_bn
from d2l_bn.figures import explorables, explore

from mxnet import autograd, nd

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT / "scripts"))
EPS = 1e-5
# What is shown: the name of each number, its full value and its text.
SHOWN = """
draw();
return [...document.querySelectorAll("[data-name]")]
    .map(({dataset, textContent}) => [dataset.name, Number(dataset.value), textContent]);
"""


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    with browsers.opened(tmp_path_factory.mktemp("browser")) as browser:
        browsers.size(browser, 390, 900)
        yield browser


@pytest.fixture
def browser(window):
    """The browser, in which no script may fail."""
    window.get_log("browser")
    yield window
    assert [entry for entry in window.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.fixture
def page(browser, tmp_path):
    """Opens an explorable alone, or inside of a page of the book."""

    def opened(name, inside="", state=""):
        path = tmp_path / "page.html"
        path.write_text(inside + explore(name)._repr_html_() if inside else explore(name).page())
        browser.get(path.as_uri() + state)
        if not inside:
            browser.execute_script("draw()")  # the first frame may be yet to come
        return browser

    return opened


def shown(browser, state):
    """The numbers of a state, each the one that its text tells the reader."""
    browser.execute_script("read(arguments[0])", state)
    rows = browser.execute_script(SHOWN)
    for name, value, text in rows:
        told = re.search(r"\u2212?[\d.]+$", text)[0].replace("\u2212", "-")
        assert abs(float(told) - value) <= 0.0051, name
    return {name: value for name, value, _ in rows}


def column(values):
    return nd.array(np.reshape(values, (-1, 1)), dtype="float64")


def normalized(X, gamma, beta, moving, eps=EPS, momentum=0.9, training=True, dY=None):
    """Y, the new moving averages and the gradient, by the library; a feature of a batch."""
    X = column(X)
    X.attach_grad()
    values = [column([value]) for value in (gamma, beta, *moving)]
    with autograd.record(train_mode=training):
        Y, mean, var = d2l_bn.batch_norm(X, *values, eps, momentum)
    if dY is not None:
        Y.backward(column(dY))
    return Y.asnumpy().ravel(), *(a.asnumpy().item() for a in (mean, var)), X.grad.asnumpy().ravel()


def setting(rng, training):
    m = rng.randint(2 if training else 1, 8)
    return {
        "mode": "training" if training else "prediction",
        "m": m,
        "gamma": round(rng.uniform(-3, 3), 2),
        "beta": round(rng.uniform(-4, 4), 2),
        "eps": 10 ** rng.uniform(-5, 1),
        "x": [round(rng.uniform(-6, 6), 2) for _ in range(8)],
        "pulled": rng.randrange(m),
        "moving_mean": rng.uniform(-6, 6),
        "moving_var": rng.uniform(0.1, 40),
    }


def test_each_number_of_a_batch_is_the_librarys(page):
    browser, rng = page("batch"), random.Random(0)
    for number in range(100):
        chosen = setting(rng, training=bool(number % 2))
        text = {**chosen, "x": ",".join(map(str, chosen["x"]))}
        found = shown(browser, "&".join(f"{key}={value}" for key, value in text.items()))
        m, moving = chosen["m"], (chosen["moving_mean"], chosen["moving_var"])
        X, dY = chosen["x"][:m], np.eye(8)[chosen["pulled"]][:m]
        rest = {"eps": chosen["eps"], "training": chosen["mode"] == "training", "dY": dY}
        Y, mean, var, dX = normalized(X, chosen["gamma"], chosen["beta"], moving, **rest)
        X_hat, used_mean, used_var, _ = normalized(X, 1, 0, moving, momentum=0, **rest)
        expected = {"moving_mean": mean, "moving_var": var, "mean": used_mean, "variance": used_var}
        for name, values in {"x": X, "x_hat": X_hat, "y": Y, "dx": dX}.items():
            expected.update({f"{name}{i}": value for i, value in enumerate(values)})
        if m == 3:
            expected.update(lost_shift=dX.sum(), lost_stretch=dX @ X_hat)
        assert found == pytest.approx(expected, abs=1e-6), chosen


def test_a_batch_of_one_is_refused_by_the_library_and_the_page_says_so(page):
    browser = page("batch")
    found = shown(browser, "m=1&beta=2")
    assert (found["x_hat0"], found["y0"], found["dx0"]) == (0, 2, 0)
    assert "d2l_bn.batch_norm refuses" in browser.find_element("id", "note").text
    with pytest.raises(ValueError, match="at least 2 values"):
        normalized([1], 1, 2, (0, 1))


@pytest.mark.parametrize("state", ["", "momentum=0", "m=2&momentum=0.5", "mean=-4&spread=3&m=64"])
def test_the_averages_are_the_librarys(page, state):
    browser = page("averages")
    shown(browser, state)
    browser.execute_script("for (let i = 0; i < 40; i++) one_batch();")
    found = {name: value for name, value, _ in browser.execute_script(SHOWN)}
    momentum = browser.execute_script("return state.momentum")
    moving = (0, 0)
    for batch in browser.execute_script("return run.batches.map(({X}) => X)"):
        Y, *moving, _ = normalized(batch, 1, 0, moving, momentum=momentum)
    _, mean, var, _ = normalized(batch, 1, 0, moving, momentum=0)
    predicted, *_ = normalized(batch, 1, 0, moving, training=False)
    names = ("batch_mean", "batch_var", "moving_mean", "moving_var", "difference")
    expected = dict(zip(names, (mean, var, *moving, abs(Y - predicted).max())))
    assert found == pytest.approx(expected, abs=1e-6)

    browser.execute_script("recalibrate()")
    examples = browser.execute_script("return run.examples")
    found = {name: value for name, value, _ in browser.execute_script(SHOWN)}
    assert found["moving_mean"] == pytest.approx(np.mean(examples), abs=1e-6)
    assert found["moving_var"] == pytest.approx(np.var(examples), abs=1e-6)


# A network with its data and gradients, as lists.
GRADIENTS = """
const [normalize, scale] = arguments, {uniform} = random_numbers(3);
const net = new_network([5, 7, 6, 4], scale, normalize, 2);
const X = Array.from({length: 5}, () => Float64Array.from({length: 9}, uniform));
const labels = Array.from({length: 9}, (_, i) => i % 4);
for (let i = 0; i < 3; i++) train_step(net, X, labels, 0.5);
const {loss, found} = backward(net, X, labels);
const plain = value => value.length === undefined ? value : Array.from(value, plain);
const listed = layer => Object.fromEntries(Object.entries(layer).map(([k, v]) => [k, plain(v)]));
return [plain(X), labels, net.layers.map(listed), found.map(listed), loss];
"""


@pytest.mark.parametrize("scale", [0.3, 3])
@pytest.mark.parametrize("normalize", [True, False])
def test_the_networks_gradients_are_autograds(page, normalize, scale):
    X, labels, layers, found, loss = page("race").execute_script(GRADIENTS, normalize, scale)
    parameters = []
    for layer in layers:
        layer.pop("moving", None)
        own = {name: nd.array(values, dtype="float64") for name, values in layer.items()}
        for array in own.values():
            array.attach_grad()
        parameters.append(own)
    A = nd.array(np.transpose(X), dtype="float64")
    with autograd.record():
        for own in parameters:
            A = nd.dot(A, own["W"].T) + own["b"]
            if "gamma" in own:
                kept = nd.zeros((1, A.shape[1]), dtype="float64")
                gamma, beta = (own[name].reshape((1, -1)) for name in ("gamma", "beta"))
                A, _, _ = d2l_bn.batch_norm(A, gamma, beta, kept, kept, EPS, 0.9)
            Z, A = A, nd.sigmoid(A)
        ours = -nd.pick(nd.log_softmax(Z), nd.array(labels, dtype="float64")).mean()
    ours.backward()
    assert loss == pytest.approx(ours.asscalar(), abs=1e-6)
    for own, theirs in zip(parameters, found):
        assert own.keys() == theirs.keys()
        for name, array in own.items():
            np.testing.assert_allclose(array.grad.asnumpy(), theirs[name], atol=1e-9, rtol=1e-6)


# Without waiting for frames: the loss and the share of flat inputs in the last layer, at the end.
RACE = """
read(arguments[0]);
for (let i = 0; i < STEPS; i++) one_step();
return race.networks.map(({losses, inputs}) => [recent(losses), measures.flat(inputs.at(-1))]);
"""


def test_the_race_ends_as_chapter_3_says(page):
    browser = page("race")
    (ours, _), (plain, flat) = browser.execute_script(RACE, "")
    assert ours < 0.8 and plain > 2.2 and flat > 0.9
    (ours, _), (plain, _) = browser.execute_script(RACE, "depth=2")
    assert ours < plain < 1.2


def test_values_are_moved_by_mouse_touch_and_keyboard(page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    browser = page("batch")
    value = "return state.x[1]"
    for kind, way in (("mouse", 50), ("touch", -40)):
        before = browser.execute_script(value)
        handle = browser.find_elements("css selector", ".handle")[1]
        actions = ActionChains(browser, devices=[PointerInput(kind, kind)])
        actions.click_and_hold(handle).move_by_offset(way, 0).release().perform()
        unit = (390 - 2 * 24) / 12  # pixels
        assert browser.execute_script(value) - before == pytest.approx(way / unit, abs=0.2)
    before = browser.execute_script(value)
    handle.send_keys("\ue014\ue014\ue00e")  # right, right, page up
    assert browser.execute_script(value) == pytest.approx(before + 1.2)
    browser.execute_script("draw()")
    assert handle.get_attribute("aria-valuenow") == str(round(before + 1.2, 2))


@pytest.mark.parametrize("name", explorables.SCRIPTS)
def test_each_control_works_on_a_phone(page, name):
    browser = page(name)
    for width in (390, 1280):
        browsers.size(browser, width, 900)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browsers.size(browser, 390, 900)
    buttons = browser.find_elements("css selector", "button")
    for button in [*buttons, *buttons]:
        button.click()
    sliders = browser.find_elements("css selector", "input[type=range]")
    for slider in sliders:
        slider.send_keys("\ue010")  # to its end
    assert len(sliders) >= 4
    assert "NaN" not in browser.execute_script("draw(); return document.body.outerHTML")


def test_the_state_stands_in_the_address_and_comes_from_it(page):
    script = (CHECKOUT / "book" / "book.js").read_text()
    inside = f'<html data-theme="dark"><script>{script}</script>'
    browser = page("batch", inside, "#batch?gamma=-2&m=4&eps=0.1&x=9,oops")
    browser.switch_to.frame(0)
    state = browser.execute_async_script("setTimeout(() => arguments[0](state), 300)")
    assert (state["gamma"], state["m"], state["eps"]) == (-2, 4, 0.1)
    assert state["x"][:2] == [6, 0.5]  # brought back to what there can be
    assert browser.execute_script("return document.documentElement.dataset.theme") == "dark"
    browser.find_element("id", "prediction").click()
    browser.switch_to.default_content()
    hash = browser.execute_async_script("setTimeout(() => arguments[0](location.hash), 300)")
    assert "mode=prediction" in hash and "gamma=-2" in hash and hash.startswith("#batch?")
    frame = browser.find_element("css selector", "iframe")
    assert frame.size["height"] > 500
    browser.refresh()
    browser.switch_to.frame(0)
    again = browser.execute_async_script("setTimeout(() => arguments[0](state.mode), 300)")
    assert again == "prediction"


def test_it_runs_in_a_frame_where_it_is_seen_and_in_one_go_without_motion(page):
    browser = page("averages", "<p>A page</p>")
    browser.switch_to.frame(0)
    counted = "const done = arguments[0]; setTimeout(() => done(run.count), 1000)"
    start = browser.execute_async_script(counted)
    browser.find_element("id", "play").click()
    assert browser.execute_async_script(counted) > start
    motion = {"name": "prefers-reduced-motion", "value": "reduce"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [motion]})
    browser.find_element("id", "again").click()
    browser.find_element("id", "play").click()
    assert browser.execute_script("return run.count") == start + 10
    assert browser.execute_async_script(counted) == start + 10
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_pictures_below_them_are_up_to_date():
    import pictures

    browsers.needed()
    for name in explorables.SCRIPTS:
        committed, drawn = explorables._read(f"{name}.svg"), pictures.still(name)
        assert re.findall(r"<text.*?</text>", committed) == re.findall(r"<text.*?</text>", drawn)
