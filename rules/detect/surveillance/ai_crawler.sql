-- id: 7c1d6e0a-3f5b-4a53-9a55-0e5f3b7f1c06
-- title: Crawler of an AI company at a site of this home
-- status: test
-- class: exposed_service
-- level: informational
-- tags: []
-- description: A site that is served from this home was read, in clear HTTP, by a program that calls itself the crawler of an AI company. What it read may be learned from, or shown by an assistant.
-- falsepositives:
--   - Anybody who gives the same user agent; it is a claim.
-- reads: [http]
-- window_s: 86400
-- parameters:
--   tokens: {default: [GPTBot, OAI-SearchBot, ChatGPT-User, ClaudeBot, Claude-SearchBot, Claude-User, anthropic-ai, Google-CloudVertexBot, GoogleOther, PerplexityBot, Perplexity-User, CCBot, Bytespider, meta-externalagent, meta-externalfetcher, FacebookBot, Amazonbot, Applebot, cohere-ai, cohere-training-data-crawler, MistralAI-User, DuckAssistBot, YouBot, Diffbot, ImagesiftBot, Timpibot, AI2Bot, PanguBot, PetalBot, omgili], unit: product tokens, reason: "as their makers publish them; blocklists/crawlers.toml says whose they are"}
WITH visit AS (
    SELECT h.*, list_filter($tokens, lambda t: contains(lower(h.http_user_agent), lower(t))) AS found
    FROM http h JOIN address_info s ON s.ip = h.src_ip AND NOT s.home JOIN address_info d ON d.ip = h.dest_ip AND d.home
    WHERE h.ts BETWEEN $since AND $until AND h.http_user_agent IS NOT NULL
)
-- The finding is about the home's server: its address stands first, the crawlers are its peers.
SELECT 'crawler>' || found[1] AS key, dest_ip AS src_ip, list_distinct(min(DISTINCT src_ip, 20) || coalesce(min(DISTINCT hostname, 5), [])) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       found[1] || ' read ' || count(*) || ' pages of this site' AS title,
       {crawler: found[1], requests: count(*), pages: count(DISTINCT url), hosts: min(DISTINCT hostname, 5),
        bytes_out: sum(length)::BIGINT, visitors: count(DISTINCT src_ip)} AS facts,
       list_transform(min(id, 60), lambda i: 'http:' || i) AS evidence
FROM visit WHERE len(found) > 0 GROUP BY dest_ip, found[1]
