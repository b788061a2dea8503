"""Several machines with models: who is asked, who is spared, and what is said of it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from house import finding, write
from replies import as_text, good_reply
from standin import StandIn
from test_ollama import FAULTS, read

from guardian import triage
from guardian.config import parse
from guardian.errors import ConfigError
from guardian.ops import status as ops
from guardian.ops.health import health
from guardian.store import explanations, incidents, model_endpoints
from guardian.store.ingest import utc_now
from guardian.triage import prompt
from guardian.triage.budget import night_began
from guardian.triage.llm.base import Ask, ModelAbsentError, ModelBusyError
from guardian.triage.llm.home import outside
from guardian.triage.llm.openai_compatible import OpenAICompatibleBackend
from guardian.triage.pool import Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from guardian.model.incident import Incident
    from guardian.store import Store

EVENING = datetime(2026, 10, 21, 19, 0)


def endpoint(server: StandIn | str, role: str, **options: Any) -> triage.Endpoint:
    url = server if isinstance(server, str) else server.url
    return triage.Endpoint(
        **{"url": url, "model": "small", "role": role, "name": role, "gpu": role, **options}
    )


def settings(*endpoints: triage.Endpoint, **options: Any) -> triage.Settings:
    return triage.Settings(endpoints=endpoints, timezone="UTC", **options)


def ask(incident: Incident, **options: Any) -> Ask:
    return Ask(messages=prompt.messages(incident), schema=prompt.schema(incident), **options)


@pytest.fixture
async def deep(beacon: Incident) -> AsyncIterator[StandIn]:
    async with StandIn(reply=lambda _: as_text(good_reply(beacon))) as server:
        yield server


@pytest.fixture
async def fast(beacon: Incident) -> AsyncIterator[StandIn]:
    async with StandIn(reply=lambda _: as_text(good_reply(beacon))) as server:
        yield server


@pytest.mark.parametrize("fault", [*FAULTS, "down"])
async def test_the_fast_one_answers_when_the_deep_one_fails(
    home: Store, beacon: Incident, deep: StandIn, fast: StandIn, fault: str
) -> None:
    deep.fault = fault
    first = "http://127.0.0.1:9" if fault == "down" else deep
    options = settings(
        endpoint(first, "deep", deadline_s=0.5 if fault == "slow" else 120.0),
        endpoint(fast, "fast"),
        deadline_s=120.0,
    )
    assert await triage.explain_pending(home, options) == 1
    found = read(home, beacon.id)
    assert found.written_by == "small on fast"
    assert found.model is not None
    assert found.model["role"] == "fast"
    (better,) = found.model["instead_of"]
    assert better.startswith("deep: ")
    assert found.verdict == beacon.verdict


async def test_a_whole_answer_that_does_not_pass_is_the_last_one(
    home: Store, beacon: Incident, deep: StandIn, fast: StandIn
) -> None:
    """At most one answer is asked for each state of an incident."""
    deep.reply = lambda _: '{"verdict": "benign"}'
    options = settings(endpoint(deep, "deep"), endpoint(fast, "fast"))
    assert await triage.explain_pending(home, options) == 0
    assert await triage.explain_pending(home, options) == 0
    assert not fast.seen
    assert [path for path, *_ in deep.seen].count("POST /api/chat") == 1
    assert read(home, beacon.id) == beacon


async def test_a_busy_server_is_tried_again_a_little_later(
    home: Store, beacon: Incident, deep: StandIn
) -> None:
    deep.busy_times = 2
    assert await triage.explain_pending(home, settings(endpoint(deep, "deep"))) == 1
    with home.read() as reader:
        calls = reader.rows("SELECT outcome FROM model_call")
    assert [each["outcome"] for each in calls] == ["ok"]


async def test_the_one_with_the_least_to_do_is_asked(
    beacon: Incident, deep: StandIn, fast: StandIn
) -> None:
    deep.delay_s = fast.delay_s = 0.4
    pool = Pool([endpoint(deep, "deep", name="a"), endpoint(fast, "deep", name="b", gpu="b")])

    async def one() -> str:
        async for tried in pool.ask(ask(beacon), EVENING):
            assert tried.reply is not None
            return tried.member.name
        raise AssertionError

    names = await asyncio.gather(*(one() for _ in range(6)))
    assert sorted(names) == ["a"] * 3 + ["b"] * 3
    assert (deep.most_at_once, fast.most_at_once) == (1, 1)
    assert pool.width(EVENING) == 2
    await pool.aclose()


async def test_no_more_than_may_wait_do_wait(beacon: Incident, deep: StandIn) -> None:
    answered = asyncio.Event()

    async def later(_: dict[str, Any]) -> str:
        await answered.wait()
        return "{}"

    deep.reply = later
    pool = Pool([endpoint(deep, "deep", queue=1)])

    async def one() -> int:
        return len([tried async for tried in pool.ask(ask(beacon), EVENING)])

    four = [asyncio.create_task(one()) for _ in range(4)]
    async with asyncio.timeout(60):
        while sum(each.done() for each in four) < 2:
            await asyncio.sleep(0.01)
    assert [each.result() for each in four if each.done()] == [0, 0]  # they are turned away
    answered.set()
    assert sorted(await asyncio.gather(*four)) == [0, 0, 1, 1]  # one was asked, one waited
    await pool.aclose()


async def test_a_card_loads_one_model_at_a_time(
    beacon: Incident, deep: StandIn, fast: StandIn
) -> None:
    for server in (deep, fast):
        server.loaded, server.delay_s = False, 0.15
    pool = Pool([endpoint(deep, "deep", gpu="one"), endpoint(fast, "fast", gpu="one")])
    await asyncio.gather(
        *(pool._ask(member, ask(beacon)) for member in pool.members)  # both at the same moment
    )
    (first,), (second,) = deep.loads, fast.loads
    assert first[1] <= second[0] or second[1] <= first[0]
    chats = [body for path, body, _ in deep.seen if path == "POST /api/chat"]
    assert [len(body["messages"]) for body in chats] == [0, 2]
    # It is loaded as it will be asked; another window would load it again.
    assert chats[0]["options"]["num_ctx"] == chats[1]["options"]["num_ctx"]
    await pool.aclose()


async def test_a_model_on_the_processor_is_asked_after_one_on_a_card(
    home: Store, beacon: Incident, deep: StandIn, fast: StandIn
) -> None:
    deep.on_gpu = False
    pool = Pool([endpoint(deep, "deep"), endpoint(fast, "fast")])
    options = settings()
    await triage.watch(home, options, pool)
    assert [each.name for each in pool.ready(EVENING)] == ["fast", "deep"]
    await triage.explain_pending(home, options, pool=pool)
    found = read(home, beacon.id)
    assert found.written_by == "small on fast"
    with home.read() as reader:
        shown = {each["name"]: each for each in ops.models(reader, now=utc_now())}
    assert shown["deep"]["state"] == "slow"
    assert "processor" in shown["deep"]["detail"]
    await pool.aclose()


async def test_in_its_quiet_hours_a_machine_is_not_even_looked_at(
    home: Store, beacon: Incident, deep: StandIn
) -> None:
    now = utc_now()
    pool = Pool([endpoint(deep, "deep", quiet_hours=f"{now.hour}-{(now.hour + 1) % 24}")])
    options = settings(*(m.endpoint for m in pool.members))
    await triage.watch(home, options, pool, now=now)
    assert await triage.explain_pending(home, options, pool=pool, now=now) == 0
    assert deep.seen == []
    with home.read() as reader:
        assert ops.models(reader, now=now)[0]["state"] == "quiet"
        # The night does not use up its tries.
        assert reader.value("SELECT attempts FROM explain_job") == 0
    await pool.aclose()


async def test_a_machine_that_comes_back_gets_the_work_that_waited(
    home: Store, beacon: Incident, deep: StandIn
) -> None:
    away = settings(endpoint("http://127.0.0.1:9", "deep"))
    moment = utc_now()
    for _ in range(6):
        assert await triage.explain_pending(home, away, now=moment) == 0
        moment += timedelta(days=365)
    there = settings(endpoint(deep, "deep"))
    assert await triage.explain_pending(home, there, now=moment) == 1


async def test_only_machines_at_home_are_asked(home: Store, beacon: Incident) -> None:
    """The address is of a documentation network: nothing could answer, and nothing is sent."""
    pool = Pool([endpoint("http://203.0.113.9:11434", "deep")])
    assert await triage.explain_pending(home, settings(), pool=pool) == 0
    assert pool.states(EVENING) == {"deep": "refused"}
    assert await outside("http://localhost:1") == ""
    assert await outside("http://192.168.1.9:1") == ""
    assert "not an address at home" in await outside("https://[2001:4860:4860::8888]/v1")
    await pool.aclose()


def test_to_be_busy_is_no_failure() -> None:
    pool = Pool([endpoint("http://127.0.0.1:9", "deep")])
    for _ in range(5):
        pool.members[0].failed(ModelBusyError("busy"), 0.0)
    assert pool.ready(EVENING)
    for _ in range(3):
        pool.members[0].failed(ModelAbsentError("away"), 0.0)
    assert pool.ready(EVENING) == [] or pool.members[0].resting_until > 0


def test_no_two_endpoints_are_called_the_same() -> None:
    pool = Pool([triage.Endpoint(url="http://a:1", model=name) for name in ("x", "x", "y")])
    assert len({member.name for member in pool.members}) == 3


async def test_long_silence_is_not_the_end_of_an_answer(beacon: Incident) -> None:
    """The client libraries give up after five seconds of silence; models think for longer."""
    text = as_text(good_reply(beacon))
    from test_backends import OpenAIStandIn  # noqa: PLC0415 - only this test needs both kinds

    async with (
        StandIn(reply=lambda _: text, delay_s=5.6) as one,
        OpenAIStandIn(reply=lambda _: text, delay_s=5.6) as other,
    ):
        pool = Pool([endpoint(one, "deep")])
        backend = OpenAICompatibleBackend(other.url, "small")
        first, second = await asyncio.gather(
            pool._ask(pool.members[0], ask(beacon)), backend.ask(ask(beacon))
        )
        assert first.reply is not None
        assert first.reply.text == second.text == text
        await pool.aclose()


async def test_several_incidents_are_told_at_once_and_never_twice(
    home: Store, beacon: Incident, deep: StandIn, fast: StandIn
) -> None:
    for number, device in enumerate(("tv", "camera", "phone", "tablet")):
        write(home, finding("c2_beacon", device, f"evil-{number}.net", level="high", calls=100,
                            interval_s=60.0 + number, jitter_share=0.01, at=number))  # fmt: skip
    triage.run(home, settings())
    deep.delay_s = fast.delay_s = 0.05
    options = settings(endpoint(deep, "deep", name="a"), endpoint(fast, "deep", name="b", gpu="b"))
    assert await triage.explain_pending(home, options) == 5
    with home.read() as reader:
        jobs = reader.rows("SELECT incident_id, state FROM explain_job")
        assert all(each.written_by != "template" for each in incidents.incidents(reader))
    assert sorted(each["incident_id"] for each in jobs) == [1, 2, 3, 4, 5]
    assert {each["state"] for each in jobs} == {"done"}


async def test_a_changed_model_is_told_and_its_old_answers_are_not_reused(
    home: Store, beacon: Incident, deep: StandIn
) -> None:
    pool = Pool([endpoint(deep, "deep")])
    options = settings(endpoint(deep, "deep"))
    await triage.watch(home, options, pool)
    assert await triage.explain_pending(home, options, pool=pool) == 1
    old = str(read(home, beacon.id).model["digest"])  # type: ignore[index]
    deep.digest = "b" * 64
    await triage.watch(home, options, pool)
    with home.read() as reader:
        assert model_endpoints.change_of(reader, "deep", old) == "b" * 64
        row = ops.models(reader, now=utc_now())[0]
    assert row["digest"] == "b" * 12
    assert row["digest_changed"] is not None
    with home.transaction() as tx:
        tx.execute("""UPDATE finding SET count = 300, updated_at = '2026-10-22',
                   facts = json_merge_patch(facts, '{"calls": 300}')""")
    triage.run(home, options)
    assert await triage.explain_pending(home, options, pool=pool) == 1
    assert read(home, beacon.id).model["digest"] == "b" * 64  # type: ignore[index]
    chats = [path for path, *_ in deep.seen if path == "POST /api/chat"]
    assert len(chats) == 2
    await pool.aclose()


async def test_status_says_how_models_do_and_names_the_template(
    home: Store, beacon: Incident, deep: StandIn
) -> None:
    pool = Pool([endpoint(deep, "deep"), endpoint("http://127.0.0.1:9", "fast")])
    options = settings(*(m.endpoint for m in pool.members))
    await triage.explain_pending(home, options, pool=pool)
    await triage.watch(home, options, pool)
    found = ops.status(home, running=True)
    rows = {each["name"]: each for each in found["models"]}
    assert list(rows) == ["deep", "fast", "template"]
    assert rows["deep"]["state"] == "loaded"
    assert rows["deep"]["tokens_per_s"] > 0
    assert rows["deep"]["last_answer"] is not None
    assert rows["fast"]["state"] == "away"
    assert rows["template"]["state"] == "ready"
    assert found["explanations"]["waiting"] == 0
    assert found["explanations"]["answers_24h"] == 1
    await pool.aclose()


async def test_health_says_when_no_model_answers_and_which_is_refused(home: Store) -> None:
    away = Pool([endpoint("http://127.0.0.1:9", "deep")])
    await triage.watch(home, settings(), away)
    found = {reason.about: reason.text for reason in health(home, running=True).reasons}
    assert found["models"] == "no model answers (deep); words come from the templates"
    strange = Pool([endpoint("http://203.0.113.9:1", "deep")])
    await triage.watch(home, settings(), strange)
    found = {reason.about: reason.text for reason in health(home, running=True).reasons}
    assert "not an address at home" in found["deep"]
    assert "models" not in found


def test_a_job_whose_process_always_dies_is_given_up(home: Store, beacon: Incident) -> None:
    now = utc_now()
    with home.transaction() as tx:
        explanations.enqueue(tx, now=now)
    for _ in range(explanations.ATTEMPTS):
        assert explanations.take(home, lease_s=60, now=now) is not None
        now += timedelta(days=365)
    assert explanations.take(home, lease_s=60, now=now) is None
    with home.read() as reader:
        row = explanations.latest_job(reader, beacon.id)
    assert row is not None
    assert row["state"] == "failed"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[[triage.endpoints]]\nurl = "http://a:1"\nrole = "dep"', "no such role: dep"),
        ('[[triage.endpoints]]\nurl = "http://a:1"\nquiet_hours = "at night"', "form 23-07"),
        ('[triage.overflow]\nclasses = ["c2_beakon"]', "no such class: c2_beakon"),
    ],
)
def test_a_slip_in_the_configuration_is_said(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse(text, "guardian.toml")


@pytest.mark.parametrize(
    ("hour", "hours"), [(22, 0), (23, 1), (0, 2), (6, 8), (7, None), (21, None)]
)
def test_the_night_begins_at_ten(hour: int, hours: int | None) -> None:
    began = night_began(EVENING.replace(hour=hour))
    assert (None if began is None else began.total_seconds() / 3600) == hours
