"""The page says who finds the words, lets a model read a question, and waits for none."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

import httpx

from guardian.store import model_endpoints, questions
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardian.store import Store


def seen(**values: Any) -> model_endpoints.Seen:
    known = {"name": "gpu-1", "kind": "ollama", "role": "deep", "model": "small",
             "url": "http://gpu-1:11434", "state": "loaded", "digest": "a" * 64}  # fmt: skip
    return model_endpoints.Seen(**{**known, **values})


def note(store: Store, *endpoints: model_endpoints.Seen) -> None:
    with store.transaction() as tx:
        model_endpoints.note(tx, endpoints, now=utc_now())


def test_without_a_model_the_words_answer_at_once(house: Store, serve: Callable[..., Any]) -> None:
    with serve(house) as page:
        text = httpx.get(f"{page.url}/ask", params={"q": "what happened last night?"}).text
    assert "Understood by its words as: What happened" in text
    assert 'hx-get="/ask/' not in text
    with house.read() as reader:
        assert reader.value("SELECT count(*) FROM question") == 0


def test_the_page_never_waits_for_a_model(house: Store, serve: Callable[..., Any]) -> None:
    """A model is there and says nothing: the page is whole, and asks again by itself."""
    note(house, seen())
    with serve(house) as page, httpx.Client(base_url=page.url) as http:
        text = http.get("/ask", params={"q": "what happened last night?"}).text
        found = re.search(r'hx-get="(/ask/(\d+)/answer)" hx-trigger="every 1s"', text)
        assert found is not None
        assert "until then, this is what its words alone say" in text
        waiting = http.get(found[1]).text
        assert "hx-trigger" in waiting
        assert "<html" not in waiting
        meant = {"name": "new", "device": None, "when": "168h"}
        with house.transaction() as tx:
            questions.finish(
                tx, int(found[2]), meant=meant, by="small on <gpu>", detail="", now=utc_now()
            )
        done = http.get(found[1]).text
        assert "hx-trigger" not in done
        assert "Understood by small on &lt;gpu&gt; as: What is new in the house" in done
        # Loaded again, the same question is not asked again.
        again = http.get("/ask", params={"q": "what happened last night?"}).text
        assert 'hx-trigger="every 1s" hx-swap="outerHTML"' not in again
        assert http.get("/ask/999/answer").status_code == 404
    with house.read() as reader:
        assert reader.value("SELECT count(*) FROM question") == 1


def test_a_question_that_nobody_read_is_answered_by_its_words(
    house: Store, serve: Callable[..., Any]
) -> None:
    note(house, seen())
    with serve(house) as page, httpx.Client(base_url=page.url) as http:
        text = http.get("/ask", params={"q": "flibbertigibbet"}).text
        assert 'role="alert"' not in text  # a model may understand it yet
        with house.transaction() as tx:
            questions.finish(tx, 1, meant=None, by="", detail="away", now=utc_now())
        assert "not on the menu" in http.get("/ask/1/answer").text


def test_health_tells_of_every_model_and_of_the_template(
    house: Store, serve: Callable[..., Any]
) -> None:
    note(
        house,
        seen(gpu_share=1.0),
        seen(name="gpu-2", state="slow", gpu_share=0.2, detail="fallen to the processor"),
        seen(name="gpu-3", state="refused", detail="runs <outside> the house"),
    )
    note(house, seen(digest="b" * 64), seen(name="gpu-2"), seen(name="gpu-3", state="refused"))
    with serve(house) as page:
        text = httpx.get(f"{page.url}/health").text
    for expected in ("gpu-1", "gpu-2", "gpu-3", "template", "another model under this name since"):
        assert expected in text
    assert "<outside>" not in text


def test_an_incident_says_who_wrote_it_and_ranks_its_causes(
    house: Store, serve: Callable[..., Any]
) -> None:
    with serve(house) as page:
        text = httpx.get(f"{page.url}/incidents/214").text
        assert "Likely causes" in text
        assert "ranked by rules" in text
        said = {"answer": "expected", "reason": "the <b>updater</b>"}
        httpx.post(f"{page.url}/incidents/214/say", data=said, headers={"origin": page.url})
        text = httpx.get(f"{page.url}/incidents/214").text
        assert "You said <b>expected here</b>: the &lt;b&gt;updater&lt;/b&gt;" in text
        body = json.dumps({"messages": "<script>alert(1)</script> HOST-A"})
        model = {
            "name": "small on gpu-1", "model": "small", "endpoint": "gpu-1", "digest": "a" * 64,
            "role": "fast", "instead_of": ["deep: <away>"], "sent": 1,
        }  # fmt: skip
        note(house, seen(digest="b" * 64))
        with house.transaction() as tx:
            tx.execute(
                "UPDATE incident SET written_by = 'small on gpu-1', model = ? WHERE id = 214",
                [json.dumps(model)],
            )
            tx.execute(
                "INSERT INTO overflow_sent (incident_id, packet_hash, sent_at, url, model, body, "
                "pseudonyms, outcome, reply) VALUES (1, 'p', ?, 'https://x', 'm', ?, ?, 'ok', '')",
                [utc_now(), body.encode(), json.dumps({"HOST-A": "peer_1"})],
            )
        text = httpx.get(f"{page.url}/incidents/214").text
        assert "Words by small on gpu-1" in text
        assert "not asked: deep: &lt;away&gt;" in text
        assert "another model is under that name now" in text
        assert 'href="/sent/1"' in text
        sent = httpx.get(f"{page.url}/sent/1").text
        assert html.escape(body, quote=True).replace("&quot;", "&#34;") in sent
        assert "<script>alert" not in sent
        assert httpx.get(f"{page.url}/sent/2").status_code == 404
