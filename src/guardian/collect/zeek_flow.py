"""Say Zeek's connections as flows: state, application and TCP flags in EVE's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from guardian.collect import columns

if TYPE_CHECKING:
    from guardian.collect.zeek_columns import Records

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

STATES = {
    "S0": "new", "SH": "new", "RSTOS0": "new", "RSTRH": "closed", "SHR": "new", "REJ": "closed",
    "S1": "established", "S2": "established", "S3": "established",
    "SF": "closed", "RSTO": "closed", "RSTR": "closed",
}  # fmt: skip
"""Zeek's conn_state to EVE's flow state: was there a handshake, and an end?"""

_STATE_FLAGS = {
    "S0": (SYN, 0), "SH": (SYN | FIN, 0), "RSTOS0": (SYN | RST, 0), "REJ": (SYN, RST | ACK),
    "SHR": (0, SYN | ACK | FIN), "RSTRH": (0, SYN | ACK | RST),
    "S1": (SYN | ACK, SYN | ACK), "S2": (SYN | ACK | FIN, SYN | ACK),
    "S3": (SYN | ACK, SYN | ACK | FIN), "SF": (SYN | ACK | FIN, SYN | ACK | FIN),
    "RSTO": (SYN | ACK | RST, SYN | ACK), "RSTR": (SYN | ACK, SYN | ACK | RST),
}  # fmt: skip
"""The flags that a state implies, for logs without a history."""

_LETTERS = {"s": SYN, "h": SYN | ACK, "a": ACK, "d": ACK | PSH, "f": FIN | ACK, "r": RST,
            "t": ACK, "w": ACK}  # fmt: skip

_SERVICES = {"ssl": "tls", "dce_rpc": "dcerpc", "krb": "krb5", "krb_tcp": "krb5", "gssapi": "smb",
             "ntlm": "smb", "irc-data": "irc", "ftp-data": "ftp-data"}  # fmt: skip


def flags(history: str | None, state: str | None) -> tuple[int | None, int | None]:
    """Return the TCP flags seen from the originator and from the responder.

    Zeek's history has a letter for each kind of packet, upper case for the
    originator's; it has no flags, so the usual ones of each kind are taken: a reset
    that answers a SYN carries an ACK, a data segment a PSH.
    """
    if not history:
        return _STATE_FLAGS.get(state or "", (None, None))
    sent = [0, 0]
    for letter in history[:64]:
        bits = _LETTERS.get(letter.lower(), 0)
        sent[letter.islower()] |= bits
    if sent[1] == RST:
        sent[1] |= ACK
    return sent[0], sent[1]


def application(service: str) -> str | None:
    """Return EVE's name for Zeek's service; of several, the one that says most."""
    names = [name.removeprefix("spicy_").lower() for name in service.split(",") if name]
    if not names:
        return None
    if "quic" in names:
        return "quic"
    return _SERVICES.get(names[0], names[0])


def flows(records: Records) -> dict[str, pl.DataFrame]:
    """Return the flow rows; ``ts`` is when the connection began."""
    text = records.text
    proto = text("proto").str.to_lowercase()
    icmp = (proto == "icmp").fill_null(value=False)
    frame = records.frame.with_columns(
        state_word=text("conn_state"),
        history_word=text("history"),
        service_word=text("service"),
        length_us=_microseconds(text("duration")),
    )
    frame = frame.join(_flag_table(frame), on=["history_word", "state_word"], nulls_equal=True,
                       how="left", maintain_order="left")  # fmt: skip
    to_client = columns.count(text("resp_pkts"))
    sixth = icmp & pl.col("src_ip").str.contains(":", literal=True).fill_null(value=False)
    origin_port, answer_port = text("id.orig_p"), text("id.resp_p")
    rows = frame.select(
        pl.col("ts_utc").alias("ts"),
        (pl.col("ts_utc") + pl.duration(microseconds=pl.col("length_us").fill_null(0)))
        .alias("end_ts"),
        pl.col("flow_id"),
        text("community_id").alias("community_id"),
        pl.col("src_ip"),
        pl.when(~icmp).then(columns.port(origin_port)).alias("src_port"),
        pl.col("dest_ip"),
        pl.when(~icmp).then(columns.port(answer_port)).alias("dest_port"),
        pl.when(sixth).then(pl.lit("IPv6-ICMP")).otherwise(proto.str.to_uppercase()).alias("proto"),
        columns.mapped(frame["service_word"], application).alias("app_proto"),
        _bytes(records, "orig").alias("bytes_toserver"),
        _bytes(records, "resp").alias("bytes_toclient"),
        columns.count(text("orig_pkts")).alias("pkts_toserver"),
        to_client.alias("pkts_toclient"),
        _state(proto, to_client).alias("state"),
        pl.col("state_word").alias("reason"),
        pl.when(proto == "tcp").then(pl.col("flags_ts")).alias("tcp_flags_ts"),
        pl.when(proto == "tcp").then(pl.col("flags_tc")).alias("tcp_flags_tc"),
        pl.when(icmp).then(origin_port.cast(pl.UInt8, strict=False)).alias("icmp_type"),
        pl.when(icmp).then(answer_port.cast(pl.UInt8, strict=False)).alias("icmp_code"),
        _mac(text("orig_l2_addr")).alias("src_mac"),
        _mac(text("resp_l2_addr")).alias("dest_mac"),
        _tags(text("vlan"), text("inner_vlan")).alias("vlan"),
    )  # fmt: skip
    return {"flow": rows}


def _mac(column: pl.Expr) -> pl.Expr:
    return column.str.to_lowercase().str.extract(r"^((?:[0-9a-f]{2}:){5}[0-9a-f]{2})$")


def _tags(*columns: pl.Expr) -> pl.Expr:
    """Return VLAN tags from the outermost to the innermost; NULL for a flow without one."""
    tags = pl.concat_list(column.cast(pl.UInt16, strict=False) for column in columns)
    tags = tags.list.drop_nulls()
    return pl.when(tags.list.len() > 0).then(tags)


def _flag_table(frame: pl.DataFrame) -> pl.DataFrame:
    kinds = frame.select("history_word", "state_word").unique()
    found = [flags(history, state) for history, state in kinds.iter_rows()]
    return kinds.with_columns(
        pl.Series("flags_ts", [pair[0] for pair in found], dtype=pl.UInt8),
        pl.Series("flags_tc", [pair[1] for pair in found], dtype=pl.UInt8),
    )


def _state(proto: pl.Expr, to_client: pl.Expr) -> pl.Expr:
    answered = (to_client > 0).fill_null(value=False)
    by_answer = pl.when(answered).then(pl.lit("established")).otherwise(pl.lit("new"))
    by_state = pl.col("state_word").replace_strict(STATES, default=None, return_dtype=pl.String)
    return pl.when((proto == "tcp") & by_state.is_not_null()).then(by_state).otherwise(by_answer)


def _bytes(records: Records, side: str) -> pl.Expr:
    payload = columns.count(records.text(f"{side}_bytes"))
    return pl.coalesce(payload, columns.count(records.text(f"{side}_ip_bytes")))


def _microseconds(column: pl.Expr) -> pl.Expr:
    value = column.cast(pl.Float64, strict=False)
    return pl.when(value.is_between(0, 3_155_760_000)).then(
        (value * 1_000_000).round().cast(pl.Int64, strict=False)
    )
