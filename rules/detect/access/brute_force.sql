-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9f01
-- title: Password guessing
-- status: test
-- class: brute_force
-- level: medium
-- tags: [attack.credential-access, attack.t1110]
-- description: One host opens many short sessions, all alike, to the same login service of another within minutes, as programs do that try passwords. Works on any port where Suricata tells the protocol.
-- falsepositives:
--   - A backup or monitoring job whose stored password no longer fits.
--   - An automation tool that opens a new SSH session for every command.
-- reads: [flow]
-- window_s: 3600
-- parameters:
--   max_pause_s: {default: 45, unit: s, reason: "on average between two sessions: what looks for mail or news by the minute guesses nothing"}
--   min_packets: {default: 3, unit: packets, reason: "each way: both sides said something beyond the handshake"}
--   many: {default: 100, unit: sessions, reason: "in one span: no person and no job types so fast"}
--   min_sessions: {default: 10, unit: sessions, reason: "a person who mistypes tries three to six times"}
--   span_s: {default: 600, unit: s, reason: "guessing is quick; a job that fails repeats every few minutes"}
--   max_session_s: {default: 90, unit: s, reason: "a refused login ends within seconds to a server's grace time"}
--   max_bytes: {default: 12000, unit: bytes, reason: "median from the server: greeting, keys and refusals; a session of use gives more"}
--   max_bytes_smb: {default: 6000, unit: bytes, reason: "a refused SMB login gives two to three thousand; a look into a folder more"}
--   max_dispersion: {default: 0.35, unit: quartile coefficient, reason: "refusals are alike in size, sessions of use are not"}
--   alike_sessions: {default: 30, unit: sessions, reason: "with so many at such speed it is enough that most are alike: a server that is overrun turns some away early"}
--   alike_pause_s: {default: 2, unit: s, reason: "on average between two sessions: a list is tried, several at a time"}
--   alike_within: {default: 0.1, unit: share, reason: "of the median size; refusals of one server differ by the length of a name"}
--   alike_share: {default: 0.5, unit: share, reason: "of all sessions; use gives sizes without a most frequent one"}
--   ports: {default: [21, 22, 23, 25, 110, 143, 389, 445, 465, 587, 993, 995, 1433, 2222, 2323, 3306, 3389, 5432, 5900, 5901, 5985, 8291], unit: ports, reason: "login services, for protocols that the sensor did not tell"}
--   protocols: {default: [ssh, ftp, smtp, rdp, smb, telnet, imap, pop3, rfb, pgsql, mysql, krb5, ldap], unit: protocols, reason: "protocols that begin with a login"}
WITH session AS (
    SELECT src_ip, dest_ip, dest_port, app_proto, id, ts, end_ts, bytes_toclient, bytes_toserver,
           time_bucket(to_seconds($span_s::BIGINT), ts) AS span
    FROM v_flow
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP' AND direction <> 'local' AND opened AND NOT failed
      -- Both sides said something beyond the handshake.
      AND pkts_toserver >= $min_packets AND pkts_toclient >= $min_packets
      AND (list_contains($protocols, app_proto)
           OR (list_contains($ports, dest_port) AND coalesce(app_proto, 'failed') IN ('failed', 'unknown', '-')))
      AND epoch(coalesce(end_ts, ts) - ts) <= $max_session_s
),
spans AS (
    SELECT src_ip, dest_ip, dest_port, max(app_proto) AS app_proto, span, count(*) AS n,
           min(ts) AS first_seen, max(coalesce(end_ts, ts)) AS last_seen,
           quantile_cont(bytes_toclient, [0.25, 0.5, 0.75]) AS q, list(bytes_toclient) AS sizes, epoch(max(ts) - min(ts)) AS took_s,
           quantile_cont(epoch(coalesce(end_ts, ts) - ts), 0.5) AS session_s,
           list_transform(min(id, 60), lambda i: 'flow:' || i) AS evidence
    FROM session GROUP BY ALL
    HAVING count(*) >= $min_sessions AND epoch(max(ts) - min(ts)) <= $max_pause_s * (count(*) - 1)
)
SELECT 'brute_force>' || dest_ip || ':' || dest_port AS key, src_ip, [dest_ip] AS peers,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(n)::BIGINT AS count,
       CASE WHEN max(n) >= $many THEN 'high' ELSE 'medium' END AS level,
       'Password guessing: ' || max(n) || ' logins tried at port ' || dest_port AS title,
       {target: dest_ip, dest_port: dest_port, app_proto: max(app_proto), sessions: sum(n)::BIGINT,
        most_in_span: max(n), span_s: $span_s, median_session_s: round(max(session_s), 2),
        median_bytes_down: arg_max(q[2], n)} AS facts,
       arg_max(evidence, n) AS evidence
FROM spans
WHERE q[2] <= CASE app_proto WHEN 'smb' THEN $max_bytes_smb ELSE $max_bytes END
  AND ((q[3] - q[1]) <= $max_dispersion * (q[3] + q[1])
       OR (n >= $alike_sessions AND took_s <= $alike_pause_s * (n - 1)
           AND len(list_filter(sizes, lambda s: abs(s - q[2]) <= $alike_within * q[2])) >= $alike_share * n))
GROUP BY src_ip, dest_ip, dest_port
