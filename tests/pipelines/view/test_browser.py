"""Tests of the page in a real browser: what a person does, that it harms nobody, and that everybody can use it."""

import importlib.resources
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.tokenizer import trained_tokenizer
from pipelines.view.server import Server
from tests.pipelines.view.browser import FOUND, NOT_RUN, Browser

pytestmark = pytest.mark.skipif(FOUND is None, reason=NOT_RUN)

DONE = "!/^(Looking .*)?$/.test(document.querySelector('#status').textContent)"
CARDS = "document.querySelectorAll('.card').length"
STATUS = "document.querySelector('#status').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def page(browser: Browser) -> Iterator[Browser]:
    """The browser, which has to have nothing to complain of when the test is over."""
    browser.console.clear()
    browser.resize(1280, 800)
    yield browser
    browser.run("1")
    assert browser.console == []


def opened(page: Browser, server: Server, query: str = "") -> None:
    page.open(f"{server.url}{query}")
    page.until(DONE)


def chosen(page: Browser, name: str, value: str) -> None:
    """Fill in one of the filters, as a person would, and wait for what is found."""
    before = page.run("location.search")
    page.run(f"""(() => {{ const field = document.querySelector('#filters').elements[{json.dumps(name)}];
        field.value = {json.dumps(value)}; field.dispatchEvent(new Event('change', {{ bubbles: true }})); }})()""")
    page.until(f"location.search !== {json.dumps(before)}")
    page.until(DONE)


def asked(server: Server, get: Callable[..., Any], query: str) -> Any:
    return get(server, f"/api/{query}").said


def test_a_pool_opens_with_pictures_boxes_and_words(page: Browser, demo_server: Server) -> None:
    opened(page, demo_server)
    assert page.run(CARDS) == 24 and page.run("document.querySelector('h1').textContent") == "demo"
    page.until("[...document.querySelectorAll('.card img')].slice(0, 3).every((one) => one.naturalWidth > 0)")
    # A box lies on the picture where its token says, to the pixel.
    where = page.run("""(() => {
        const frame = [...document.querySelectorAll('.frame')].find((one) => one.querySelector('g'));
        const all = frame.getBoundingClientRect(), box = frame.querySelector('rect').getBoundingClientRect();
        const token = frame.closest('.card').querySelector('.token').textContent;
        return { token, left: (box.left - all.left) / all.width, right: (box.right - all.left) / all.width };
    })()""")
    bins = [int(number) for number in where["token"][2:].partition(">}")[0].split("><")]
    assert where["left"] == pytest.approx(bins[0] / 100, abs=0.005)
    assert where["right"] == pytest.approx(bins[2] / 100, abs=0.005)


def test_filters_search_and_clear_change_what_is_shown_and_the_address(
    page: Browser, demo_server: Server, get: Callable[..., Any]
) -> None:
    opened(page, demo_server)
    chosen(page, "source", "refcoco")
    chosen(page, "task", "refer")
    assert "source=refcoco" in page.run("location.search")
    heads = page.run("[...document.querySelectorAll('.card .task')].map((one) => one.textContent)")
    assert set(heads) == {"refer"}
    chosen(page, "q", "green")
    wanted = asked(demo_server, get, "page?source=refcoco&task=refer&q=green")["samples"]
    shown = "[...document.querySelectorAll('.open')].map((one) => one.dataset.at)"
    assert page.run(shown) == [one["at"] for one in wanted]
    chosen(page, "q", "no such words")
    assert "No sample matches" in page.run(STATUS)
    page.point("button[type=reset]", click=True)
    page.until(f"{CARDS} === 24")
    assert page.run("location.search") in ("", "?")


def test_the_next_page_goes_on_and_back_comes_back(page: Browser, demo_server: Server) -> None:
    opened(page, demo_server)
    first = page.run("document.querySelector('.open').dataset.at")
    page.point("#next", click=True)
    page.until("location.search.includes('from=')")
    page.until(DONE)
    page.until(f"document.querySelector('.open').dataset.at !== '{first}'")
    page.point("#previous", click=True)
    page.until(f"document.querySelector('.open')?.dataset.at === '{first}'")


def test_worst_first(page: Browser, demo_server: Server, get: Callable[..., Any]) -> None:
    opened(page, demo_server)
    for order in ("smallest", "loss", "longest", "most"):
        chosen(page, "order", order)
        wanted = [one["at"] for one in asked(demo_server, get, f"page?order={order}")["samples"]]
        page.until(f"JSON.stringify([...document.querySelectorAll('.open')].map((one) => one.dataset.at)) === "
                   f"{json.dumps(json.dumps(wanted, separators=(',', ':')))}")  # fmt: skip


def test_a_sample_opens_lights_up_both_ways_and_its_link_shows_another_the_same(
    page: Browser, demo_server: Server
) -> None:
    opened(page, demo_server, "?task=detection")
    page.point(".card .open", click=True)
    page.until("document.querySelectorAll('#detail .record').length > 0")
    assert page.run("document.querySelector('#all').hidden")
    page.point("#detail .record.shown mark.token")
    assert page.run("document.querySelectorAll('#detail svg g.lit').length") > 0
    page.point("#detail h2")
    assert page.run("document.querySelectorAll('.lit').length") == 0
    over = "dispatchEvent(new PointerEvent('pointerover', { bubbles: true }))"
    page.run(f"document.querySelector('#detail svg g rect').{over}")
    assert page.run("document.querySelectorAll('#detail mark.lit').length") > 0
    link, shown = page.run("location.search"), page.run("document.querySelector('#detail').innerText")
    opened(page, demo_server, link)
    page.until("document.querySelectorAll('#detail .record').length > 0")
    assert page.run("document.querySelector('#detail').innerText") == shown


def test_exact_boxes_are_others_than_those_of_the_tokens(page: Browser, demo_server: Server) -> None:
    opened(page, demo_server, "?task=refer")
    rect = "document.querySelector('.card rect').getAttribute('x')"
    token = float(page.run(rect))
    assert token == pytest.approx(round(token / 10) * 10)
    page.press("e")
    page.until("location.search.includes('boxes=exact')")
    page.until(DONE)
    page.until(f"Number({rect}) !== {token}")
    assert abs(float(page.run(rect)) - token) <= 5.001


def test_keys_move_search_filter_and_leave(page: Browser, demo_server: Server) -> None:
    opened(page, demo_server)
    page.press("/")
    assert page.run("document.activeElement.name") == "q"
    page.press("Escape")
    page.press("f")
    assert page.run("document.activeElement.name") == "source"
    page.press("Escape")
    at = "document.activeElement.dataset.at"
    page.press("ArrowRight")
    first = page.run(at)
    page.press("ArrowRight")
    second = page.run(at)
    page.press("ArrowDown")
    assert first != second and page.run(at) not in (first, second, None)
    page.press("ArrowUp")
    assert page.run(at) == second
    page.run("document.activeElement.click()")
    page.until(f"location.search.includes('sample={second}')")
    page.until("document.querySelectorAll('#detail .record').length > 0")
    page.press("ArrowLeft")
    page.until(f"location.search.includes('sample={first}')")
    page.press("Escape")
    page.until("!document.querySelector('#all').hidden")


def test_rejects_show_their_reasons(page: Browser, pool_copy: Path, serve: Any) -> None:
    part = {"source": "refcoco", "split": "train", "task": "refer"}
    line = {"key": "a/train/1/x", **part, "image": "coco/1", "names": []}
    told = [{**line, "reason": why, "detail": f"{why}: <b>{n}</b>"} for n, why in enumerate(["torn", "empty"] * 80)]
    (pool_copy / "rejects" / "000000.jsonl").write_text("".join(json.dumps(one) + "\n" for one in told))
    opened(page, serve(pool_copy), "?view=rejects")
    rows = "[...document.querySelectorAll('tbody tr')].map((row) => row.lastChild.textContent)"
    assert page.run(rows)[:2] == ["torn: <b>0</b>", "empty: <b>1</b>"]
    page.point("#next", click=True)
    page.until(f"{rows}[0] === 'torn: <b>100</b>'")
    chosen(page, "q", "<b>7</b>")
    assert page.run(rows) == ["empty: <b>7</b>"]


@pytest.fixture(scope="module")
def lock_server(
    mix_pools: dict[str, str], lock_of: Any, serve: Any, tmp_path_factory: pytest.TempPathFactory
) -> Server:
    folder = tmp_path_factory.mktemp("seen")
    part = {"source": "refcoco", "split": "train", "task": "refer", "weight": 1}
    lock = lock_of(folder / "seen.lock.json", [Path(mix_pools["coco"])], [part])
    trained_tokenizer(["where is the circle"], 480).save(str(folder / "tokenizer.json"))
    served: Server = serve(lock, folder / "tokenizer.json")
    return served


def test_the_stream_of_a_lock_shows_squares_epochs_and_what_is_trained(page: Browser, lock_server: Server) -> None:
    opened(page, lock_server)
    assert page.run("document.querySelectorAll('.draw').length") == 12
    page.until("document.querySelector('.draw img').naturalWidth === 448")
    frame = page.run("document.querySelector('.frame').getBoundingClientRect().toJSON()")
    assert frame["width"] == pytest.approx(frame["height"], abs=0.6), "a square, whatever the picture is"
    boxed = "document.querySelector('.ids').querySelectorAll('.boxed')"
    trained = page.run(f"[...{boxed}].map((one) => one.textContent).join('')")
    assert trained.replace("▁", "") == page.run("document.querySelector('.draw .assistant').textContent")
    page.run("document.querySelector('#seek input').value = '90'")
    page.point("#seek button", click=True)
    page.until("document.querySelector('.draw b')?.textContent === 'draw 90'")


def test_hostile_records_show_and_do_nothing(page: Browser, hostile_pool: Path, serve: Any) -> None:
    server = serve(hostile_pool)
    opened(page, server, "?shard=0")
    assert page.run(CARDS) == 10 and page.run("document.querySelectorAll('.odd').length") == 3
    page.until("document.querySelectorAll('.frame.broken').length >= 4")
    assert "<script>" in page.run("document.querySelector('.card').innerText")
    for number in range(7):
        opened(page, server, f"?shard=0&sample=0.{number}")
        page.until("document.querySelectorAll('#detail .record').length === 1")
        assert page.run("document.documentElement.scrollWidth <= innerWidth"), f"{number} spills over the page"
    assert page.run("document.querySelectorAll('script:not([src]), main img[src=x], #detail script').length") == 0
    opened(page, server, "?shard=0&sample=0.2")
    page.until("document.querySelectorAll('#detail svg g').length === 10000")
    assert not page.run("document.title").startswith("owned")


def test_the_page_with_a_token_carries_it_on(page: Browser, demo_pool: Path, serve: Any) -> None:
    server = serve(demo_pool, host="0.0.0.0")
    page.open(f"http://127.0.0.1:{server.server_address[1]}/?token={server.token}")
    page.until(DONE)
    assert page.run(CARDS) == 24
    page.until("document.querySelector('.card img').naturalWidth > 0")
    page.point(".card .open", click=True)
    page.until("document.querySelectorAll('#detail .record').length > 0")
    assert f"token={server.token}" in page.run("location.search")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (1280, True)])
@pytest.mark.parametrize("query", ["", "?task=refer&sample=0.1", "?view=rejects", "lock"])
def test_axe_finds_nothing(
    page: Browser, demo_server: Server, lock_server: Server, query: str, width: int, dark: bool
) -> None:
    page.resize(width, 800, mobile=width < 500)
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    page.command("Emulation.setEmulatedMedia", features=scheme)
    opened(page, lock_server if query == "lock" else demo_server, "" if query == "lock" else query)
    if "sample" in query:
        page.until("document.querySelectorAll('#detail .record').length > 0")
    page.run((importlib.resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8") + "; 1")
    nodes = "one.nodes.map((node) => node.html + node.failureSummary)"
    found = page.run(f"axe.run().then((done) => done.violations.map((one) => [one.id, {nodes}]))")
    page.command("Emulation.setEmulatedMedia", features=[])
    assert found == []
    assert page.run("document.documentElement.scrollWidth <= innerWidth"), "spills over the page"
