"""Fill a store with a busy home's month, and a year of its hourly sums, the same every time.

Fifty devices, two thousand destinations of which few get most calls, look-ups seen on the
wire and in the resolver's log, a hello for every tenth flow. Names and addresses are made
up (RFC 2606, RFC 5737, RFC 1918).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from guardian.store import archive, clock, contacts, kept, rollup
from guardian.store.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardian.store import Store, Transaction

DAYS = 30
END = datetime(2026, 1, 31)  # noqa: DTZ001 - times in the store are naive UTC
DEVICES = 50
INCIDENTS = 400

# Each device has forty destinations; the cube of an evenly spread number makes a few of
# them most of its traffic.
_DEST = (
    f"(((hash(i) % {DEVICES}) * 37 + (40 * pow((hash(i, 2) % 1000000) / 1e6, 3))::INTEGER) "
    "% 2000)::INTEGER"
)
_FLOWS = f"""
INSERT INTO flow (id, ts, source_id, end_ts, flow_id, src_ip, src_port, dest_ip, dest_port, proto,
                  app_proto, bytes_toserver, bytes_toclient, pkts_toserver, pkts_toclient, state,
                  src_mac, dest_mac)
SELECT $first + i, $day + to_microseconds(i * $step), 1,
       $day + to_microseconds((i * $step + hash(i, 6) % 30000000)::BIGINT), $first + i,
       '192.168.1.' || (10 + hash(i) % {DEVICES}), 1024 + hash(i, 1) % 60000,
       '198.51.' || (100 + {_DEST} // 250) || '.' || ({_DEST} % 250 + 1), 443,
       'TCP', ['tls', 'tls', 'http', 'quic', 'failed'][1 + {_DEST} % 5],
       hash(i, 3) % 100000, hash(i, 4) % 1000000, 9, 12, 'closed',
       printf('02:00:5e:00:53:%02x', (10 + hash(i) % {DEVICES})::INTEGER), '02:00:5e:00:53:01'
FROM range($rows) AS t(i)
"""
_NAME = "'h' || (3000 * pow((hash(i, 1) % 1000000) / 1e6, 3))::INTEGER || '.example'"
_HELLOS = f"""
INSERT INTO tls (id, ts, source_id, flow_id, src_ip, dest_ip, dest_port, proto, sni, version)
SELECT $first + i, $day + to_microseconds(i * $step), 1, $flow + i * 10,
       '192.168.1.' || (10 + hash(i) % {DEVICES}),
       '198.51.' || (100 + {_DEST} // 250) || '.' || ({_DEST} % 250 + 1), 443,
       'TCP', 'h' || {_DEST} || '.example', 'TLS 1.3'
FROM range($rows) AS t(i)
"""
_WIRE = f"""
INSERT INTO dns (id, ts, source_id, src_ip, src_port, dest_ip, dest_port, proto, type, rrname,
                 rrtype, rcode)
SELECT $first + i, $day + to_microseconds(i * $step), 1,
       '192.168.1.' || (10 + hash(i) % {DEVICES}), 1024 + hash(i, 4) % 60000, '192.168.1.2', 53,
       'UDP', ['query', 'answer'][1 + i % 2], {_NAME}, ['A', 'AAAA'][1 + (hash(i, 3) % 2)::INTEGER],
       CASE WHEN i % 2 = 1 THEN 'NOERROR' END
FROM range($rows) AS t(i)
"""
_LOG = f"""
INSERT INTO dns_log (id, ts, source_id, src_ip, rrname, rrtype, status, blocked)
SELECT $first + i, $day + to_microseconds(i * $step), 1,
       '192.168.1.' || (10 + hash(i) % {DEVICES}), {_NAME}, 'A', 'forwarded', hash(i, 2) % 9 = 0
FROM range($rows) AS t(i)
"""
_YEAR = f"""
INSERT INTO rollup_1h
SELECT $since + to_hours((i // $each)::INTEGER), 'd' || (i % {DEVICES}),
       'h' || (hash(i, 1) % 3000) || '.example', 'tls', 1 + hash(i, 2) % 50,
       hash(i, 3) % 1000000, hash(i, 4) % 10000000
FROM range($rows) AS t(i)
"""


def fill(store: Store, size: int, *, progress: Callable[[str], None] = lambda _text: None) -> None:
    """Store ``size`` flows and half as many DNS rows of thirty days, as retention leaves them.

    Days that are older than the hot tier keeps are in the cold one; roll-ups are made.
    """
    with store.transaction() as tx:
        _house(tx)
        _year(tx, size)
    per_day = max(size // DAYS, 20)
    for number in range(DAYS):
        day = END - timedelta(days=DAYS - number)
        with store.transaction() as tx:
            _day(tx, day, per_day)
        rollup.update(store)
        contacts.update(store)
        archive.archive(store, Limits(), now=END)
        progress(f"{number + 1} of {DAYS} days")
    with store.transaction() as tx:
        _stories(tx)
    kept.update(store)
    clock.backdate(store)
    store.checkpoint()


def _house(tx: Transaction) -> None:
    start = END - timedelta(days=DAYS + 1)
    tx.execute(
        "INSERT INTO source (name, kind, path, last_event, last_read) "
        "VALUES ('eve', 'eve', 'eve', ?, ?)",
        [END, END],
    )
    tx.execute(
        f"INSERT INTO device (device_id, name, mac, first_seen, last_seen) SELECT 'd' || i, "
        f"'device ' || i, printf('02:00:5e:00:53:%02x', 10 + i), $start, $end "
        f"FROM range({DEVICES}) AS t(i)",
        {"start": start, "end": END},
    )
    tx.execute(
        "INSERT INTO device_address (device_id, ip, mac, valid_from, valid_to, seen_at) "
        "SELECT 'd' || i, '192.168.1.' || (10 + i), NULL, $start, "
        f"NULL, $end FROM range({DEVICES}) AS t(i)",
        {"start": start, "end": END},
    )
    tx.execute(
        "INSERT INTO name_hit SELECT 'h' || (i * 37) || '.example', 'e' || i, 'acr', "
        "'Company ' || (i % 12), 'Service ' || i, ['watching'], 'A', 'none', 'x' "
        "FROM range(40) AS t(i)"
    )
    tx.execute(
        "INSERT INTO address_info SELECT '192.168.1.' || i, 'private', true, false "
        "FROM range(255) AS t(i)"
    )
    tx.execute(
        "INSERT INTO address_info SELECT '198.51.' || (100 + i // 250) || '.' || (i % 250 + 1), "
        "'public', false, false FROM range(2001) AS t(i)"
    )


def _day(tx: Transaction, day: datetime, flows: int) -> None:
    """Write one day: flows, a hello for every tenth, look-ups on the wire and in the log."""
    first = int(tx.value("SELECT next_id FROM row_counter"))
    flow = first
    for statement, rows in (
        (_FLOWS, flows),
        (_HELLOS, max(flows // 10, 1)),
        (_WIRE, max(flows // 4, 1)),
        (_LOG, max(flows // 4, 1)),
    ):
        values = {"first": first, "day": day, "step": 86_400_000_000 // rows, "rows": rows}
        tx.execute(statement, {**values, "flow": flow} if statement is _HELLOS else values)
        first += rows
    tx.execute("UPDATE row_counter SET next_id = ?", [first])


def _year(tx: Transaction, size: int) -> None:
    """Add hourly sums of the eleven months before: one for every ten flows of the month."""
    hours = (365 - DAYS) * 24
    each = max(size // 10 // hours, 1)
    since = END - timedelta(days=365)
    tx.execute(_YEAR, {"since": since, "each": each, "rows": each * hours})


def _stories(tx: Transaction) -> None:
    """Make incidents whose evidence lies all over the month, and proposals for some."""
    top = int(tx.value("SELECT next_id FROM row_counter"))
    tx.execute(
        f"""
        INSERT INTO finding (id, class, level, detector, title, key, device_id, src_ip, peers,
            first_seen, last_seen, count, facts, evidence, tags, updated_at, incident_id)
        SELECT 'f' || i, ['acr', 'c2_beacon', 'dga', 'exploit'][1 + i % 4],
               ['low', 'medium', 'high'][1 + i % 3], 'd', 't', 'k' || i, 'd' || (i % {DEVICES}),
               '192.168.1.' || (10 + i % {DEVICES}), ['198.51.100.7', 'h37.example'],
               $end - to_hours((i % 700)::INTEGER), $end - to_minutes((i % 700)::INTEGER), 5, '{{}}',
               list_transform(range(40), lambda k: 'flow:' || (hash(i, k) % {top})), [],
               $end, i // 5 + 1
        FROM range({INCIDENTS * 5}) AS t(i)
        """,  # noqa: E501 - a column a phrase
        {"end": END},
    )
    tx.execute(
        f"""
        INSERT INTO incident (id, key, title, verdict, confidence, level, device_id, classes,
            first_seen, last_seen, status, summary, explanation, facts, claims, score, packet_hash,
            written_by, created_at, updated_at)
        SELECT i, 'k' || i, 'Story ' || i, ['malicious', 'surveillance'][1 + i % 2], 0.8, 'high',
               'd' || (i % {DEVICES}), ['acr'], $end - to_hours((i * 2)::INTEGER),
               $end - to_hours(i::INTEGER), ['open', 'noted', 'handled'][1 + i % 3],
               repeat('summary ', 20), repeat('explanation ', 50), '[]', '[]', '[]', '', 'template',
               $end, $end
        FROM range(1, {INCIDENTS + 1}) AS t(i)
        """,
        {"end": END},
    )
    tx.execute(
        "INSERT INTO proposal (id, incident_id, key, action, title, consequence, target, "
        "duration_s, responder, forecast, status, created_at, updated_at) "
        "SELECT i, i, 'p' || i, 'dns_block', 'Block it', 'None', '{}', 86400, "
        "'none', '{}', ['proposed', 'approved'][1 + i % 2], $end, $end "
        "FROM range(1, 101) AS t(i)",
        {"end": END},
    )
    tx.execute(
        "INSERT INTO decision (proposal_id, verb, actor, channel, decided_at, carried_out) "
        "SELECT i, 'approve', 'keeper', 'page', $end, true FROM range(1, 101) AS t(i) "
        "WHERE i % 2 = 1",
        {"end": END},
    )
