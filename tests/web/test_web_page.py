"""The page in a real browser: from the notification's link to *verified*, on phone and desk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import sync_playwright

from guardian.store.ingest import utc_now
from guardian.web import Settings, auth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page

    from guardian.store import Store

PATIENCE_MS = 120_000.0
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PAGES = (
    "/", "/incidents", "/incidents/214", "/incidents/214/evidence", "/approvals", "/p/1", "/p/3",
    "/devices", "/devices/d1", "/networks", "/privacy", "/health", "/names?name=ads.example",
    "/silenced", "/ask", "/nowhere",
)  # fmt: skip


class Browser:
    """Chromium with a fresh profile, that notes errors and every host it asked."""

    def __init__(self, make: Callable[..., BrowserContext]) -> None:
        self._make = make
        self.errors: list[str] = []
        self.hosts: set[str] = set()

    def page(self, viewport: dict[str, int], **options: Any) -> Page:
        page = self._make(viewport=viewport, **options).new_page()
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        return page


@pytest.fixture
def browser(tmp_path: Path, chromium: str) -> Iterator[Browser]:
    arguments = [
        "--no-sandbox", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--no-first-run", "--disable-quic",
    ]  # fmt: skip
    contexts: list[BrowserContext] = []
    with sync_playwright() as playwright:

        def make(**options: Any) -> BrowserContext:
            context = playwright.chromium.launch_persistent_context(
                tmp_path / f"profile{len(contexts)}",
                executable_path=chromium,
                args=arguments,
                timeout=PATIENCE_MS,
                **options,
            )
            context.set_default_timeout(PATIENCE_MS)
            contexts.append(context)
            return context

        yield Browser(make)
        for context in contexts:
            context.close()


def enforce(store: Store, state: str, *, proposal: int = 1) -> None:
    """Do what the daemon does after an answer: write the next state of the journal."""
    now = utc_now()
    with store.transaction() as tx:
        tx.execute("UPDATE decision SET carried_out = true")
        if state == "asked":
            tx.execute(
                "INSERT INTO enforcement (id, proposal_id, responder, target, state, asked_at, "
                "ends_at) SELECT 50, id, responder, target, 'asked', $now, $now + "
                "INTERVAL 24 HOUR FROM proposal WHERE id = $id",
                {"now": now, "id": proposal},
            )
        elif state == "verified":
            proof = '{"summary": "the resolver 192.0.2.1 answers c2.example A 0.0.0.0"}'
            tx.execute(
                "UPDATE enforcement SET state = 'verified', verified_at = ?, proof = ? "
                "WHERE id = 50",
                [now, proof],
            )
        else:
            tx.execute(
                f"UPDATE enforcement SET state = ?, {state}_at = ? WHERE id = 50", [state, now]
            )


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desktop"])
def test_from_the_notification_to_verified_and_back(
    browser: Browser, house: Store, serve: Callable[..., Any], viewport: dict[str, int]
) -> None:
    with serve(house) as running:
        page = browser.page(viewport)
        page.goto(f"{running.url}/p/1")
        assert page.get_by_text("Only this server, only this laptop").is_visible()
        page.get_by_role("button", name="Block it for this laptop, 24 h").click()
        card = page.locator("#p1")
        card.get_by_role("status").get_by_text("Asked", exact=True).wait_for()
        assert running.woken.wait(60)
        assert card.get_by_text("verified").first.text_content() != "✓ verified"
        enforce(house, "asked")
        enforce(house, "applied")
        card.get_by_role("status").get_by_text("Applied, being checked").wait_for()
        enforce(house, "verified")
        card.get_by_role("status").get_by_text("Blocked · verified").wait_for()
        assert card.get_by_text("answers c2.example A 0.0.0.0").is_visible()
        assert card.get_by_text("ends by itself").is_visible()
        assert page.url == f"{running.url}/p/1"
        card.get_by_role("button", name="Undo").click()
        card.get_by_role("status").get_by_text("Being undone").wait_for()
        enforce(house, "reverted")
        card.get_by_role("status").get_by_text("Undone", exact=True).wait_for()
        assert card.get_by_role("button", name="Try it again").is_visible()
    with house.read() as reader:
        rows = reader.rows("SELECT verb, channel FROM decision WHERE proposal_id = 1 ORDER BY id")
    assert [tuple(row.values()) for row in rows] == [("approve", "page"), ("revert", "page")]
    assert browser.errors == []
    assert browser.hosts == {running.url.split("/")[2]}


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_asks_nobody_else_and_raises_no_error(
    browser: Browser, house: Store, serve: Callable[..., Any], viewport: dict[str, int], scheme: str
) -> None:
    with serve(house) as running:
        page = browser.page(viewport, color_scheme=scheme)
        for path in PAGES:
            answer = page.goto(running.url + path)
            assert answer is not None
            assert answer.status == (404 if path == "/nowhere" else 200)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"], path
            small = page.evaluate(SMALL_TARGETS)
            assert small == [], path
            assert page.evaluate("document.querySelectorAll('h1').length") == 1, path
            assert page.evaluate(LOW_CONTRAST) == [], path
    assert [each for each in browser.errors if "404" not in each] == []
    assert browser.hosts == {running.url.split("/")[2]}


# Buttons and navigation must be 44 px high for a finger; links inside sentences are text.
SMALL_TARGETS = """[...document.querySelectorAll(
    '.btn, .tabs a, .side a, .list > a, input, select')]
  .filter(e => e.offsetParent !== null && e.type !== 'hidden')
  .filter(e => e.getBoundingClientRect().height < 43.5)
  .map(e => e.outerHTML.slice(0, 80))"""

# WCAG 2 contrast of every text against the nearest opaque ground behind it.
LOW_CONTRAST = """(() => {
  const rgb = c => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => { for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c; }
    return [255, 255, 255]; };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode());) {
    const e = n.parentElement;
    if (!n.data.trim() || e.offsetParent === null || e.closest('svg,option,.skip,.sr')) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(n.data.trim().slice(0, 30) + ' ' + ratio.toFixed(2));
  }
  return bad;
})()"""


def test_an_answer_changes_the_sentence_and_the_count(
    browser: Browser, house: Store, serve: Callable[..., Any]
) -> None:
    with serve(house) as running:
        page = browser.page(DESK)
        page.goto(f"{running.url}/")
        before, sentence = (
            page.locator("#waiting-side b").inner_text(),
            page.locator("h1").inner_text(),
        )
        page.get_by_role("button", name="Block it for this laptop, 24 h").click()
        page.locator("#p1").get_by_role("status").get_by_text("Asked", exact=True).wait_for()
        left = int(before.split()[0]) - 1
        assert page.locator("#waiting-side").inner_text().split()[:1] == (
            [str(left)] if left else []
        )
        assert page.locator("h1").inner_text() != sentence
        page.goto(f"{running.url}/p/1")
        page.get_by_role("button", name="Undo").click()
        page.get_by_role("status").get_by_text("Being undone").wait_for()
    assert browser.errors == []


def test_it_works_without_script(browser: Browser, house: Store, serve: Callable[..., Any]) -> None:
    with serve(house) as running:
        page = browser.page(PHONE, java_script_enabled=False)
        page.goto(f"{running.url}/")
        page.get_by_role("button", name="Block it for this laptop, 24 h").click()
        page.wait_for_url("**/p/1")
        assert page.get_by_role("status").text_content() == "Asked"
        assert page.get_by_role("link", name="Look again").is_visible()
        enforce(house, "asked")
        enforce(house, "applied")
        enforce(house, "verified")
        page.get_by_role("link", name="Look again").click()
        assert page.get_by_role("status").text_content() == "Blocked · verified"
        page.get_by_role("button", name="Undo").click()
        assert page.get_by_role("status").text_content() == "Being undone"
    assert browser.errors == []


def test_news_announces_itself_and_moves_nothing(
    browser: Browser, house: Store, serve: Callable[..., Any]
) -> None:
    with serve(house) as running:
        page = browser.page(PHONE)
        page.goto(f"{running.url}/")
        card = page.locator("#p2")
        before = card.bounding_box()
        with house.transaction() as tx:
            tx.execute(
                "INSERT INTO device (device_id, name, first_seen, last_seen) "
                "VALUES ('d9', 'New phone', $now, $now)",
                {"now": utc_now()},
            )
        pill = page.get_by_role("link", name="There is news. Show it")
        pill.wait_for()
        assert card.bounding_box() == before
        pill.click()
        page.get_by_text("New device: “New phone”").wait_for()
    assert browser.errors == []


def test_a_phone_signs_in_from_the_link_and_lands_on_the_question(
    browser: Browser, house: Store, serve: Callable[..., Any]
) -> None:
    auth.set_password(house, "correct horse battery")
    with serve(house, settings=Settings(timezone="UTC", login="always")) as running:
        page = browser.page(PHONE)
        page.goto(f"{running.url}/p/2")
        page.get_by_label("The house's password").fill("wrong horse battery")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("That is not the password.").wait_for()
        page.get_by_label("The house's password").fill("correct horse battery")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/p/2")
        assert page.get_by_text("3 names, this TV only").is_visible()
    assert [each for each in browser.errors if "401" not in each] == []


def test_keys_reach_every_action(browser: Browser, house: Store, serve: Callable[..., Any]) -> None:
    with serve(house) as running:
        page = browser.page(DESK)
        page.goto(f"{running.url}/p/1")
        seen = []
        for _ in range(30):
            page.keyboard.press("Tab")
            seen.append(page.evaluate("document.activeElement.textContent.trim()"))
        assert seen[0] == "Skip to content"
        assert "Block it for this laptop, 24 h" in seen
        assert seen.index("Block it for this laptop, 24 h") < seen.index("Keep as it is")
    assert browser.errors == []
