"""What can be asked: a fixed set of typed, read-only queries, each with its sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of the menu. ``takes`` names its parameters: device, when and about.

    ``some`` tells how many rows there are, ``none`` that there are none, ``most`` the first
    row; their slots are ``{device}``, ``{n}`` (a number with ``one`` or ``many``), ``{when}``,
    ``{about}`` and the columns of the first row. ``hints`` are patterns of sentences that mean
    it, ``keywords`` single words.
    """

    name: str
    title: str
    takes: tuple[str, ...]
    sql: str
    one: str
    many: str
    some: str
    none: str
    most: str = ""
    hints: tuple[str, ...] = ()
    keywords: frozenset[str] = frozenset()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# An address may have had several holders, so each one once.
_OF_DEVICE = (
    "JOIN (SELECT DISTINCT ip FROM v_device_address "
    "WHERE $device IS NULL OR device_id = $device) AS h ON h.ip = w.src_ip"
)
_HOLDER = (
    "JOIN v_device_address AS h ON h.ip = w.src_ip AND w.ts >= h.valid_from "
    "AND w.ts < h.valid_to JOIN device AS d ON d.device_id = h.device_id"
)
_IN = "w.ts >= $since AND w.ts < $until"
_ASKED = "dns_question($since::TIMESTAMP, $until::TIMESTAMP) AS w"
_NAMED = (
    "(SELECT dest_ip, any_value(sni) AS sni FROM tls "
    "WHERE ts >= $since AND ts < $until AND sni IS NOT NULL GROUP BY dest_ip)"
)

MENU: tuple[Question, ...] = (
    Question(
        name="destinations",
        title="Where did a device go?",
        takes=("device", "when"),
        sql="SELECT coalesce(t.sni, w.dest_ip) AS destination, w.dest_ip AS address, "
        "count(*) AS connections, sum(w.bytes_toserver)::BIGINT AS bytes_up, "
        "sum(w.bytes_toclient)::BIGINT AS bytes_down, min(w.ts) AS first_seen, "
        "max(coalesce(w.end_ts, w.ts)) AS last_seen "
        f"FROM flow AS w {_OF_DEVICE} LEFT JOIN {_NAMED} AS t ON t.dest_ip = w.dest_ip "
        f"WHERE {_IN} GROUP BY ALL ORDER BY bytes_up DESC NULLS LAST, destination",
        one="destination",
        many="destinations",
        some="{device} went to {n} {when}.",
        none="{device} went nowhere {when}, as far as Guardian could see.",
        most="Most was sent to {destination}: {bytes_up}.",
        hints=(r"\bwhat (?:did|does|has|was|is) .{1,60}\b(?:do|done|doing|up to)\b",
               r"\bwhere (?:did|does|has|do)\b"),
        keywords=_words("where go went doing destination destinations connect connected"),
    ),
    Question(
        name="names",
        title="Which names did a device ask for?",
        takes=("device", "when"),
        sql="SELECT w.name, count(*) AS queries, "
        "count(*) FILTER (w.status = 'blocked') AS blocked, max(w.ts) AS last_seen "
        f"FROM {_ASKED} {_OF_DEVICE} GROUP BY w.name ORDER BY queries DESC, name",
        one="name",
        many="names",
        some="{device} asked for {n} {when}.",
        none="{device} asked for no names {when}, as far as Guardian could see.",
        most="Most often for {name}: {queries}.",
        hints=(r"\b(?:names?|sites?|websites?|domains?|pages?)\b.{0,40}\b(?:ask|look|visit|open)",
               r"\blook(?:ed|ing)? up\b"),
        keywords=_words("name names dns lookup look-ups asked query queries site sites website"),
    ),
    Question(
        name="uploads",
        title="What was uploaded, and to whom?",
        takes=("device", "when"),
        sql="SELECT coalesce(any_value(n.company), t.sni, w.dest_ip) AS receiver, "
        "sum(w.bytes_toserver)::BIGINT AS bytes_up, count(*) AS connections, "
        "max(coalesce(w.end_ts, w.ts)) AS last_seen "
        f"FROM flow AS w {_OF_DEVICE} LEFT JOIN {_NAMED} AS t ON t.dest_ip = w.dest_ip "
        "LEFT JOIN (SELECT name, any_value(company) AS company FROM name_hit GROUP BY name) AS n "
        f"ON n.name = t.sni WHERE {_IN} GROUP BY t.sni, w.dest_ip "
        "ORDER BY bytes_up DESC NULLS LAST, receiver",
        one="receiver",
        many="receivers",
        some="{device} sent something to {n} {when}.",
        none="{device} sent nothing {when}, as far as Guardian could see.",
        most="Most went to {receiver}: {bytes_up}.",
        hints=(r"\bhow much\b.*\b(?:upload|send|sent|data)", r"\bupload(?:ed|s|ing)?\b"),
        keywords=_words("upload uploads uploaded uploading receiver receivers"),
    ),
    Question(
        name="contacted",
        title="Who talked to a name or company?",
        takes=("about", "device", "when"),
        sql="SELECT d.name AS device, w.name AS destination, any_value(n.company) AS company, "
        f"count(*) AS contacts, max(w.ts) AS last_seen FROM (SELECT w.ts, w.src_ip, w.name FROM "
        f"{_ASKED} UNION ALL SELECT w.ts, w.src_ip, w.sni FROM tls AS w WHERE {_IN} "
        f"AND w.sni IS NOT NULL) AS w {_HOLDER} LEFT JOIN name_hit AS n ON n.name = w.name "
        "WHERE ($device IS NULL OR h.device_id = $device) AND (contains(lower(w.name), $about) "
        "OR contains(lower(coalesce(n.company, '')), $about)) "
        "GROUP BY d.name, w.name ORDER BY contacts DESC, device, destination",
        one="pair of device and name matches",
        many="pairs of device and name match",
        some="{n} “{about}” {when}.",
        none="Nobody talked to “{about}” {when}, as far as Guardian could see.",
        most="Most often {device}, with {destination}: {contacts}.",
        hints=(
            (
                r"\b(?:who|which devices?|what devices?|does any\w*|did any\w*|is any\w*)\b.{0,30}"
                r"\b(?:talk|spoke|speak|contact|connect|visit|access|use)\w*\b"
            ),
        ),
        keywords=_words("talk talked talks spoke contacted contact"),
    ),
    Question(
        name="blocked",
        title="What was blocked?",
        takes=("device", "when"),
        sql="SELECT w.name, count(*) AS blocked, count(DISTINCT w.src_ip) AS devices, "
        f"max(w.ts) AS last_seen FROM {_ASKED} {_OF_DEVICE} WHERE w.status = 'blocked' "
        "GROUP BY w.name ORDER BY blocked DESC, name",
        one="name",
        many="names",
        some="The house's resolver refused {n} {when}.",
        none="The house's resolver refused nothing {when}, as far as Guardian could see.",
        most="Most often {name}: {blocked}.",
        hints=(r"\b(?:block|refus)(?:ed|ing|es|s)?\b",),
        keywords=_words("blocked refused stopped block"),
    ),
    Question(
        name="models",
        title="Who used language models?",
        takes=("device", "when"),
        sql="SELECT d.name AS device, n.company, n.service, count(*) AS contacts, "
        f"max(w.ts) AS last_seen FROM (SELECT w.ts, w.src_ip, w.name FROM {_ASKED} UNION ALL "
        f"SELECT w.ts, w.src_ip, w.sni FROM tls AS w WHERE {_IN}) AS w "
        f"JOIN name_hit AS n ON n.name = w.name {_HOLDER} "
        "WHERE n.class IN ('llm_api', 'ai_media_api') "
        "AND ($device IS NULL OR h.device_id = $device) "
        "GROUP BY ALL ORDER BY contacts DESC, device",
        one="service",
        many="services",
        some="Language models and the like were used in {n} {when}, counted by device.",
        none="Nobody used a language model {when}, as far as Guardian could see.",
        most="Most often {device}, with {company}: {contacts}.",
        hints=(r"\b(?:language models?|llms?|chat ?gpt|openai|chatbots?|a\.?i\.?)\b",),
        keywords=_words("llm llms ai chatgpt chatbot models"),
    ),
    Question(
        name="listened",
        title="Who listened?",
        takes=("device", "when"),
        sql="SELECT n.company, n.class, count(*) AS contacts, max(w.ts) AS last_seen "
        f"FROM {_ASKED} JOIN name_hit AS n ON n.name = w.name {_OF_DEVICE} "
        "GROUP BY ALL ORDER BY contacts DESC, company",
        one="service that listens or measures",
        many="services that listen or measure",
        some="{device} asked for {n} {when}.",
        none="{device} asked for no service that listens or measures {when}.",
        most="Most often {company}: {contacts}.",
        hints=(r"\b(?:listen|spy|track|watch)(?:ed|ing|s)?\b",),
        keywords=_words("listen listened privacy track tracker trackers spy company companies"),
    ),
    Question(
        name="incidents",
        title="What happened?",
        takes=("device", "when"),
        sql="SELECT i.id, i.title, i.level, i.status, i.last_seen FROM incident AS i "
        "WHERE i.last_seen >= $since AND i.last_seen < $until AND i.merged_into IS NULL "
        "AND ($device IS NULL OR list_contains(i.devices, $device)) "
        "ORDER BY i.last_seen DESC, i.id",
        one="incident",
        many="incidents",
        some="{device} had {n} {when}.",
        none="Nothing happened {when} that Guardian tells of.",
        most="The last one: {title}.",
        hints=(r"\bwhat happened\b", r"\bincidents?\b", r"\bis .{1,40}\b(?:hacked|infected)\b"),
        keywords=_words("happen happened incident incidents alert alerts problem wrong news"),
    ),
    Question(
        name="changed",
        title="What changed?",
        takes=("when",),
        sql="SELECT * FROM (SELECT first_seen AS moment, 'new device' AS what, name AS which "
        "FROM device WHERE merged_into IS NULL UNION ALL "
        "SELECT first_seen, 'new incident', title FROM incident WHERE merged_into IS NULL "
        "UNION ALL SELECT c.decided_at, 'answer: ' || c.verb, p.title FROM decision AS c "
        "JOIN proposal AS p ON p.id = c.proposal_id UNION ALL "
        "SELECT e.said_at, e.what, d.name FROM device_event AS e JOIN device AS d "
        "USING (device_id)) WHERE moment >= $since AND moment < $until "
        "ORDER BY moment DESC, what, which",
        one="change was",
        many="changes were",
        some="{n} seen in the house {when}.",
        none="Nothing changed in the house {when}, as far as Guardian could see.",
        most="The last one: {what}, {which}.",
        hints=(r"\bchanged?\b", r"\bchanges\b", r"\bdifferent\b"),
        keywords=_words("changed change changes different"),
    ),
    Question(
        name="night",
        title="What was awake at night?",
        takes=("device", "when"),
        sql="SELECT d.name AS device, count(*) AS connections, "
        "sum(w.bytes_toserver)::BIGINT AS bytes_up, min(w.ts) AS first_seen, "
        f"max(w.ts) AS last_seen FROM flow AS w {_HOLDER} WHERE {_IN} "
        "AND ($device IS NULL OR h.device_id = $device) "
        "AND hour(w.ts + to_minutes($offset)) < 6 "
        "GROUP BY d.name ORDER BY connections DESC, device",
        one="device was",
        many="devices were",
        some="{n} awake between midnight and six {when}.",
        none="Nothing was awake between midnight and six {when}, as far as Guardian could see.",
        most="The busiest: {device}, {connections}.",
        hints=(r"\bawake\b", r"\b(?:active|up|busy) (?:at|during|in the) night\b",
               r"\b(?:who|what|which)\b.*\b(?:active|busy)\b.*\bnight\b"),
        keywords=_words("awake"),
    ),
    Question(
        name="volume",
        title="Who sent the most?",
        takes=("when",),
        sql="SELECT d.name AS device, sum(w.bytes_toserver)::BIGINT AS bytes_up, "
        f"sum(w.bytes_toclient)::BIGINT AS bytes_down, count(*) AS connections FROM flow AS w "
        f"{_HOLDER} WHERE {_IN} GROUP BY d.name ORDER BY bytes_up DESC NULLS LAST, device",
        one="device",
        many="devices",
        some="{n} sent something {when}.",
        none="No device sent anything {when}, as far as Guardian could see.",
        most="The most: {device}, {bytes_up}.",
        hints=(r"\b(?:who|which device|what)\b.*\bmost\b",),
        keywords=_words("most much sent send traffic bandwidth volume data"),
    ),
    Question(
        name="new",
        title="What is new in the house?",
        takes=("when",),
        sql="SELECT name AS device, kind, vendor, first_seen FROM device "
        "WHERE first_seen >= $since AND first_seen < $until AND merged_into IS NULL "
        "ORDER BY first_seen DESC, device",
        one="device was",
        many="devices were",
        some="{n} seen for the first time {when}.",
        none="No new device was seen {when}.",
        most="The last one: {device}.",
        hints=(r"\bnew\b.*\bdevices?\b", r"\bdevices?\b.*\bnew\b", r"\bwhat(?:'s| is) new\b"),
        keywords=_words("new first unknown joined appeared"),
    ),
    Question(
        name="seen",
        title="When was a device last seen?",
        takes=("device",),
        sql="SELECT name AS device, last_seen, first_seen, kind, room FROM device "
        "WHERE merged_into IS NULL AND ($device IS NULL OR device_id = $device) "
        "ORDER BY last_seen DESC, device",
        one="device",
        many="devices",
        some="Guardian knows {n}.",
        none="Guardian knows no device yet.",
        most="{device} was seen last at the time below.",
        hints=(r"\blast (?:seen|online|active|there)\b", r"\bwhen (?:was|did|is)\b",
               r"\bis .{1,40} (?:online|home|there)\b"),
        keywords=_words("seen online when"),
    ),
    Question(
        name="bypass",
        title="Who goes around the resolver?",
        takes=("device", "when"),
        sql="SELECT d.name AS device, f.class, f.peers[1] AS resolver, sum(f.count)::BIGINT "
        "AS contacts, max(f.last_seen) AS last_seen FROM finding AS f "
        "JOIN device AS d ON d.device_id = f.device_id "
        "WHERE f.class IN ('doh_bypass', 'dns_bypass', 'tor_vpn') AND f.last_seen >= $since "
        "AND f.first_seen < $until AND ($device IS NULL OR f.device_id = $device) "
        "GROUP BY ALL ORDER BY contacts DESC, device",
        one="way around the house's resolver was",
        many="ways around the house's resolver were",
        some="{n} used {when}.",
        none="No device went around the house's resolver {when}, as far as Guardian could see.",
        most="Most often {device}: {contacts}.",
        hints=(r"\b(?:bypass|circumvent|avoid)\w*\b", r"\b(?:go|goes|going|went) around\b",
               r"\b(?:doh|encrypted dns|private dns|vpn|tor)\b"),
        keywords=_words("bypass bypasses around resolver doh vpn"),
    ),
    Question(
        name="optout",
        title="Did switching it off work?",
        takes=("device",),
        sql="SELECT d.name AS device, o.class, o.company, o.switched_off_at, "
        "coalesce(any_value(a.answer), 'not checked yet') AS answer FROM opt_out AS o "
        "LEFT JOIN device AS d ON d.device_id = o.device_id LEFT JOIN (SELECT opt_out_id, "
        "arg_max(answer, answered_at) AS answer FROM opt_out_answer GROUP BY opt_out_id) AS a "
        "ON a.opt_out_id = o.id WHERE o.withdrawn_at IS NULL "
        "AND ($device IS NULL OR o.device_id = $device) "
        "GROUP BY ALL ORDER BY o.switched_off_at DESC, device",
        one="thing was",
        many="things were",
        some="{n} noted as switched off.",
        none="Nobody has noted yet that something was switched off; see: guardian opt-out.",
        most="The last one, {device}: {answer}.",
        hints=(r"\bswitch(?:ed|ing)?\b.*\boff\b", r"\bopt(?:ed|ing)?[ -]?out\b",
               r"\bturn(?:ed|ing)?\b.*\boff\b"),
        keywords=_words("opt-out optout switched switching"),
    ),
    Question(
        name="health",
        title="Is Guardian well?",
        takes=(),
        sql="SELECT * FROM (SELECT name, 'source' AS part, state, last_event AS moment, "
        "coalesce(detail, '') AS detail FROM source UNION ALL "
        "SELECT name, 'component', state, since, coalesce(detail, '') FROM component_state) "
        "ORDER BY state = 'ok', part, name",
        one="part",
        many="parts",
        some="Guardian has {n}; those that are not well stand first.",
        none="Guardian watches nothing yet: no source was named.",
        most="{name}: {state}.",
        hints=(
            r"\b(?:sensors?|appliance|guardian)\b.*\b(?:ok|okay|well|working|alive|up|down|broken)\b",
            r"\bhealth(?:y)?\b",
        ),
        keywords=_words("healthy health sensor sensors appliance guardian working"),
    ),
)  # fmt: skip
"""The questions that can be asked."""
