"""Say what each of Zeek's logs is in the words of the store.

One function a log, from text columns to the columns of a table. Zeek's field
meanings: https://docs.zeek.org/en/master/script-reference/log-files.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from guardian.collect import columns
from guardian.collect.zeek_flow import flows
from guardian.model import secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardian.collect.zeek_columns import Records

Tables = dict[str, pl.DataFrame]

_TLS_VERSIONS = {
    "SSLv2": "SSLv2",
    "SSLv3": "SSLv3",
    "TLSv10": "TLSv1",
    "TLSv11": "TLS 1.1",
    "TLSv12": "TLS 1.2",
    "TLSv13": "TLS 1.3",
}

_LOCAL_NAME_PORTS = (5353, 5355, 137, 138)  # mDNS, LLMNR, NetBIOS: answered by no resolver


def base(records: Records) -> list[pl.Expr]:
    """Return the columns that nearly every table shares."""
    text = records.text
    return [
        pl.col("ts_utc").alias("ts"),
        pl.col("flow_id"),
        text("community_id").alias("community_id"),
        pl.col("src_ip"),
        columns.port(text("id.orig_p")).alias("src_port"),
        pl.col("dest_ip"),
        columns.port(text("id.resp_p")).alias("dest_port"),
        text("proto").str.to_uppercase().alias("proto"),
    ]


def dns(records: Records) -> Tables:
    """Return a query row for each record, and an answer row where there was an answer."""
    text = records.text
    frame = records.frame
    local = columns.port(text("id.resp_p")).is_in(_LOCAL_NAME_PORTS).fill_null(value=False)
    rows = frame.filter(~local & text("query").is_not_null())
    query = rows.select(
        *base(records),
        pl.lit("query").alias("type"),
        columns.count(text("trans_id")).alias("tx_id"),
        text("query").str.strip_suffix(".").alias("rrname"),
        text("qtype_name").alias("rrtype"),
    )
    wait = columns.count(text("rtt").cast(pl.Float64, strict=False) * 1_000_000)
    ttl = records.listing("TTLs").list.eval(pl.element().cast(pl.Float64, strict=False)).list.min()
    answer = rows.filter(text("rcode_name").is_not_null()).select(
        *base(records),
        pl.lit("answer").alias("type"),
        columns.count(text("trans_id")).alias("tx_id"),
        text("query").str.strip_suffix(".").alias("rrname"),
        text("qtype_name").alias("rrtype"),
        text("rcode_name").alias("rcode"),
        records.listing("answers")
        .list.eval(columns.short(pl.element().str.replace(r"^TXT \d+ ", "")))
        .alias("answers"),
        ttl.cast(pl.Int64, strict=False).alias("ttl"),
        wait.fill_null(0).clip(0, 3_600_000_000).alias("wait_us"),
    )
    answer = answer.with_columns(ts=pl.col("ts") + pl.duration(microseconds="wait_us"))
    heard = frame.filter(local | text("query").is_null())
    return {
        "dns": pl.concat([query, answer.drop("wait_us")], how="diagonal").sort(
            "ts", maintain_order=True
        ),
        **({"raw_event": raw(records, heard, "zeek_local_dns")} if heard.height else {}),
    }


def tls(records: Records) -> Tables:
    """Return the TLS handshakes."""
    text = records.text
    return {
        "tls": records.frame.select(
            *base(records),
            text("server_name").alias("sni"),
            text("version").replace(_TLS_VERSIONS).alias("version"),
            text("subject").alias("subject"),
            text("issuer").alias("issuerdn"),
            text("ja3").alias("ja3"),
            text("ja3s").alias("ja3s"),
            text("ja4").alias("ja4"),
            _truth(text("resumed")).alias("session_resumed"),
            records.listing("cert_chain_fuids").list.first().alias("fuid"),
        ).with_columns(proto=pl.col("proto").fill_null("TCP"))
    }


def _truth(column: pl.Expr) -> pl.Expr:
    return column.replace_strict(
        {"T": True, "F": False, "true": True, "false": False}, default=None, return_dtype=pl.Boolean
    )


def http(records: Records) -> Tables:
    """Return the HTTP requests with their answers."""
    text = records.text
    version = text("version")
    frame = records.frame
    hidden = [_hidden(frame[name]) for name in ("uri", "referrer") if name in frame.columns]
    return {
        "http": frame.with_columns(hidden)
        .select(
            *base(records),
            text("host").alias("hostname"),
            text("uri").alias("url"),
            text("method").alias("http_method"),
            text("user_agent").alias("http_user_agent"),
            text("referrer").alias("http_refer"),
            records.listing("resp_mime_types").list.first().alias("http_content_type"),
            text("status_code").cast(pl.Int32, strict=False).alias("status"),
            columns.count(text("response_body_len")).alias("length"),
            pl.when(version.is_not_null()).then(pl.lit("HTTP/") + version).alias("protocol"),
        )
        .with_columns(proto=pl.col("proto").fill_null("TCP"))
    }


def quic(records: Records) -> Tables:
    """Return the QUIC handshakes."""
    text = records.text
    return {
        "quic": records.frame.select(
            *base(records),
            text("server_name").alias("sni"),
            text("version").alias("version"),
        ).with_columns(proto=pl.col("proto").fill_null("UDP"))
    }


def files(records: Records) -> Tables:
    """Return the files that crossed the wire."""
    text = records.text
    sender = records.listing("tx_hosts").list.first()
    taker = records.listing("rx_hosts").list.first()
    frame = records.frame.with_columns(
        sender=pl.coalesce(pl.col("src_ip"), sender),
        taker=pl.coalesce(pl.col("dest_ip"), taker),
        conn=pl.coalesce(text("uid"), records.listing("conn_uids").list.first()),
    )
    frame = frame.with_columns(
        columns.address_column(frame["sender"]),
        columns.address_column(frame["taker"]),
        columns.hashed(frame["conn"]),
    )
    return {
        "fileinfo": frame.select(
            pl.col("ts_utc").alias("ts"),
            pl.col("conn").alias("flow_id"),
            pl.col("sender").alias("src_ip"),
            pl.col("taker").alias("dest_ip"),
            columns.port(text("id.orig_p")).alias("src_port"),
            columns.port(text("id.resp_p")).alias("dest_port"),
            text("source").str.to_lowercase().replace({"ssl": "tls"}).alias("app_proto"),
            text("filename").alias("filename"),
            text("mime_type").alias("magic"),
            pl.lit("CLOSED").alias("state"),
            columns.count(pl.coalesce(text("total_bytes"), text("seen_bytes"))).alias("size"),
            (columns.count(text("missing_bytes")) > 0).alias("gaps"),
            text("md5").alias("md5"),
            text("sha1").alias("sha1"),
            text("sha256").alias("sha256"),
        )
    }


def weird(records: Records) -> Tables:
    """Return what Zeek found odd as anomalies."""
    return {
        "anomaly": records.frame.select(
            *base(records),
            pl.lit("weird").alias("type"),
            records.text("name").alias("event"),
        )
    }


_REPLIES = ("OFFER", "ACK", "NAK")


def dhcp(records: Records) -> Tables:
    """Return one row for each DHCP message; Zeek folds a whole exchange into one record."""
    text = records.text
    frame = records.frame.with_columns(
        kind=records.listing("msg_types").list.eval(pl.element().str.to_uppercase()),
        assigned=pl.coalesce(text("assigned_addr"), text("assigned_ip")),
        client=text("client_addr"),
        server=pl.coalesce(text("server_addr"), pl.col("dest_ip")),
        requested=text("requested_addr"),
        conn=pl.coalesce(text("uid"), records.listing("uids").list.first()),
        mac_text=text("mac"),
    )
    frame = frame.with_columns(
        # The old form of the log has no messages: a record is a lease that was given.
        pl.when(pl.col("kind").list.len() > 0)
        .then(pl.col("kind").list.head(64))
        .otherwise(pl.lit(["ACK"]))
        .alias("kind"),
        *(columns.address_column(frame[n]) for n in ("assigned", "client", "server", "requested")),
        columns.hashed(frame["conn"]),
        columns.mac_column(frame["mac_text"]),
    ).explode("kind")
    reply = pl.col("kind").is_in(_REPLIES)
    return {
        "dhcp": frame.select(
            pl.col("ts_utc").alias("ts"),
            pl.col("conn").alias("flow_id"),
            pl.when(reply).then(pl.col("server")).otherwise(pl.col("client")).alias("src_ip"),
            pl.when(reply).then(pl.col("client")).otherwise(pl.col("server")).alias("dest_ip"),
            pl.when(reply).then(pl.lit("reply")).otherwise(pl.lit("request")).alias("type"),
            pl.col("kind").str.to_lowercase().alias("dhcp_type"),
            columns.count(text("trans_id")).alias("dhcp_id"),
            pl.col("mac_text").alias("client_mac"),
            pl.when(reply).then(pl.col("assigned")).alias("assigned_ip"),
            pl.col("client").alias("client_ip"),
            pl.when(~reply).then(pl.col("requested")).alias("requested_ip"),
            text("host_name").alias("hostname"),
            text("lease_time").cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
            .alias("lease_time"),
        )
    }  # fmt: skip


def raw(records: Records, rows: pl.DataFrame, event_type: str) -> pl.DataFrame:
    """Return records of which the store has no table, whole."""
    rows = rows.with_columns(_hidden(rows["whole"]))
    return rows.select(
        *(column for column in base(records) if column.meta.output_name() != "community_id"),
        pl.lit(event_type).alias("event_type"),
        pl.col("whole").alias("raw"),
    )


def _hidden(series: pl.Series) -> pl.Series:
    """Return a column without the passwords in it."""
    signs = series.dtype == pl.String and series.str.contains(secrets.SIGNS).any()
    return columns.mapped(series, secrets.hide) if signs else series


MAPPINGS: dict[str, Callable[[Records], Tables]] = {
    "conn": flows,
    "conn_long": flows,
    "open_conn": flows,
    "dns": dns,
    "ssl": tls,
    "http": http,
    "quic": quic,
    "files": files,
    "weird": weird,
    "dhcp": dhcp,
}
"""The logs that have a table of their own; all others become raw events."""

NOT_EVENTS = frozenset({"loaded_scripts", "packet_filter", "stats", "prof"})
"""Logs about Zeek itself, that say nothing of the network; they are not read."""

RAW_TYPES = {"ssh": "ssh", "x509": "x509"}
"""Raw events that other sources have too, under one name; the rest are ``zeek_<log>``."""
