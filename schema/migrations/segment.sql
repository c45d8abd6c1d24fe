-- The tables of one time segment; {N} is its number. Made by headwater-store, dropped whole by retention.

CREATE TABLE exchange_{N} (
    id                          INTEGER PRIMARY KEY,  -- printed as x_…
    connection_id               INTEGER NOT NULL,
    ordinal                     INTEGER NOT NULL,     -- position on its connection, from 0
    start_ns                    INTEGER NOT NULL,     -- first byte of the request, or of the response when that was not seen
    request_end_delta_ns        INTEGER,              -- last byte of the request, after start
    response_start_delta_ns     INTEGER,              -- first byte of the final response, after start
    response_end_delta_ns       INTEGER,              -- last byte of the response, after start
    end_delta_ns                INTEGER NOT NULL,     -- when the outcome was decided, after start
    client_service_id           INTEGER NOT NULL,
    server_service_id           INTEGER NOT NULL,
    route_id                    INTEGER,
    http_request_method         TEXT,
    target_form                 INTEGER NOT NULL,     -- 0 origin, 1 absolute, 2 authority, 3 asterisk
    url_scheme                  TEXT,                 -- absolute form only
    url_authority               TEXT,                 -- absolute and authority forms only
    url_path                    TEXT,
    url_query                   TEXT,
    http_response_status_code   INTEGER,
    http_response_reason        TEXT,                 -- NULL when it is the registered one
    request_minor_version       INTEGER,
    response_minor_version      INTEGER,
    interim                     TEXT,                 -- 1xx codes, comma separated
    outcome                     INTEGER NOT NULL,     -- 0 complete 1 open 2 client_gave_up 3 server_reset 4 server_closed
                                                      -- 5 timed_out 6 truncated 7 malformed 8 request_not_seen
    error_kind                  INTEGER,              -- NULL when it is no failure, else as rollup_{N}.kind
    gaps                        INTEGER NOT NULL,     -- bits of headwater_model::Gaps
    request_header_block_id     INTEGER,
    request_header_holes        BLOB,
    response_header_block_id    INTEGER,
    response_header_holes       BLOB,
    http_request_header_size    INTEGER,
    http_request_body_size      INTEGER,
    http_response_header_size   INTEGER,
    http_response_body_size     INTEGER,
    request_thread_id           INTEGER,
    response_thread_id          INTEGER,
    thread_evidence             INTEGER,              -- request evidence + 4 * response evidence: 0 none 1 socket_lock 2 turn_start 3 proc
    http2_stream_id             INTEGER,              -- NULL in HTTP/1
    http2_flags                 INTEGER,              -- 1 pushed, 2 the error is the server's (else the client's), 4 it came as GOAWAY
    http2_error_code            INTEGER,              -- of RST_STREAM or GOAWAY (RFC 9113, 7)
    http2_stalls                INTEGER,              -- how often a sender had no window left
    http2_stalled_ns            INTEGER,              -- for how long in all
    rpc_grpc_status_code        INTEGER,              -- NULL when it was not seen, or is no gRPC
    rpc_grpc_message            TEXT,
    rpc_grpc_timeout_ns         INTEGER,              -- the deadline that the client gave
    rpc_request_messages        INTEGER,              -- NULL when it is no gRPC
    rpc_response_messages       INTEGER,
    rpc_messages_exact          INTEGER,              -- 1 those of the request are counted exactly (else at least), 2 those of the response
    request_trailer_block_id    INTEGER,
    request_trailer_holes       BLOB,
    response_trailer_block_id   INTEGER,
    response_trailer_holes      BLOB,
    websocket                   TEXT,                 -- numbers with commas (headwater_pack::numbers); times are after start:
                                                      -- flags (1 permessage-deflate, 2 the client's counts are exact, 4 the server's,
                                                      -- 8 the client closed first, 16 the server did, 32 * how it was closed: 0 open
                                                      -- 1 closing 2 clean 3 unanswered 4 abnormal 5 not_seen), close code, first and
                                                      -- last message; then of the client and of the server: text, binary, fragmented,
                                                      -- compressed, continuation frames, ping, pong, close, payload bytes, malformed
    event_stream                TEXT                  -- numbers likewise: flags (1 the counts are exact), events, comments, first and
                                                      -- last event
);
CREATE INDEX exchange_{N}_error ON exchange_{N} (error_kind) WHERE error_kind IS NOT NULL;

-- Exchanges that ended well and were not stored before their end: the columns above, many to a row (headwater_pack).
-- exchange_rows(N), a table that connections register, shows both.
CREATE TABLE exchange_pack_{N} (
    last_id      INTEGER PRIMARY KEY,
    first_id     INTEGER NOT NULL,
    min_start_ns INTEGER NOT NULL,
    max_start_ns INTEGER NOT NULL,
    row_count    INTEGER NOT NULL,
    data         BLOB NOT NULL
);

-- Header blocks without what varies (headwater_redact::HeaderBlock::template), each stored once for the segment.
CREATE TABLE header_block_{N} (
    id       INTEGER PRIMARY KEY,
    template BLOB NOT NULL
);

-- Which exchanges hold which identifiers (headwater_redact::identifiers, and those of targets), in sorted runs: exchanges of
-- no run are to be looked through. A run may hold ids before its span. Which runs there are stands in identifier_run.
CREATE TABLE identifier_{N} (
    place INTEGER PRIMARY KEY,                        -- run << 12, and the first twelve bits of the hash; of a
                                                      -- run of level 0 the first eight, and four zeros; of one of a
                                                      -- group of segments (level 16 + their number) fifteen, from run << 12
    data  BLOB NOT NULL                               -- headwater_pack::identifiers
);

-- Counts for each ten seconds, kept up at ingest. Failed connection attempts (refused, connect timeouts) count here too,
-- with method '' and no exchange.
CREATE TABLE rollup_{N} (
    slot_ns           INTEGER NOT NULL,               -- start of the ten seconds; -1 the sum of all, once the segment is closed
    server_service_id INTEGER NOT NULL,
    client_service_id INTEGER NOT NULL,
    route_id          INTEGER NOT NULL,               -- 0 when there is none
    method            TEXT NOT NULL,
    kind              INTEGER NOT NULL,               -- 0 no failure; 100..599 that status code; 1 reset 2 closed 3 refused
                                                      -- 4 gave_up 5 timed_out 6 malformed 7 unreachable 8 no failure but open
                                                      -- 9 server process killed 10 it exited with another code than 0, 11 12 the client's
                                                      -- 1000 + gRPC's status; 2000 + HTTP/2's error code
                                                      -- DNS, with method DNS and ids of dns_exchange_{N}: 3000 + response
                                                      -- code (3000 is no failure), 3997 unreachable, 3998 not seen to its end,
                                                      -- 3999 no answer
                                                      -- 4000 + WebSocket's close code
                                                      -- 10000 and more as in connection_tls.error_kind, likewise without
                                                      -- an exchange
    count             INTEGER NOT NULL,
    first_ns          INTEGER NOT NULL,
    last_ns           INTEGER NOT NULL,
    first_exchange_id INTEGER,
    last_exchange_id  INTEGER,
    latency_buckets   BLOB NOT NULL,                  -- see headwater_schema::latency
    PRIMARY KEY (slot_ns, server_service_id, client_service_id, route_id, method, kind)
) WITHOUT ROWID;

-- DNS exchanges: a question with its answer, or the lack of one. Ids grow in order of commit, with holes. Those that are no
-- failure are in packs.
CREATE TABLE dns_exchange_{N} (
    id                      INTEGER PRIMARY KEY,      -- printed as d_…
    start_ns                INTEGER NOT NULL,         -- the query's first try, or the answer when no query was seen
    answer_delta_ns         INTEGER,                  -- the answer, after start
    end_delta_ns            INTEGER NOT NULL,         -- when the outcome was decided, after start
    client_service_id       INTEGER NOT NULL,
    server_service_id       INTEGER NOT NULL,
    client_address          TEXT NOT NULL,
    client_port             INTEGER NOT NULL,
    client_local            INTEGER NOT NULL,
    client_netns            INTEGER NOT NULL,
    client_process_id       INTEGER,
    client_process_evidence TEXT NOT NULL,            -- as connection.client_process_evidence
    server_address          TEXT NOT NULL,
    server_port             INTEGER NOT NULL,
    server_local            INTEGER NOT NULL,
    server_netns            INTEGER NOT NULL,
    server_process_id       INTEGER,
    server_process_evidence TEXT NOT NULL,
    network_transport       INTEGER NOT NULL,         -- 0 udp 1 tcp
    connection_id           INTEGER,                  -- over TCP
    message_id              INTEGER NOT NULL,
    dns_question_name       TEXT,                     -- redacted, lower case
    question_type           INTEGER,                  -- IANA's numbers
    question_class          INTEGER,
    retries                 INTEGER NOT NULL,
    outcome                 INTEGER NOT NULL,         -- 0 answered 1 answered_late 2 no_answer 3 query_not_seen 4 unfinished
                                                      -- 5 unreachable
    rcode                   INTEGER,                  -- with the upper bits of EDNS
    flags                   INTEGER NOT NULL,         -- 1 authoritative 2 truncated 4 not all of the answer was looked at
    dns_answers             TEXT,                     -- addresses, comma separated, at most 16
    address_count           INTEGER NOT NULL,
    aliases                 TEXT,                     -- what CNAMEs stand for, comma separated, redacted, at most 16
    other_count             INTEGER NOT NULL,         -- records of other types
    minimum_ttl_s           INTEGER,
    query_bytes             INTEGER NOT NULL,
    answer_bytes            INTEGER NOT NULL,
    error_kind              INTEGER,                  -- NULL when it is no failure, else as rollup_{N}.kind
    icmp                    TEXT                      -- the message that made it unreachable: as one of connection.icmp
);
CREATE INDEX dns_exchange_{N}_start ON dns_exchange_{N} (start_ns);
CREATE INDEX dns_exchange_{N}_error ON dns_exchange_{N} (error_kind) WHERE error_kind IS NOT NULL;

-- The columns above, many to a row, as in exchange_pack_{N}. dns_rows(N) shows both. The index is what is asked of packs
-- without looking into them.
CREATE TABLE dns_exchange_pack_{N} (
    last_id      INTEGER PRIMARY KEY,
    first_id     INTEGER NOT NULL,
    min_start_ns INTEGER NOT NULL,
    max_start_ns INTEGER NOT NULL,
    row_count    INTEGER NOT NULL,
    data         BLOB NOT NULL
);
CREATE INDEX dns_exchange_pack_{N}_start ON dns_exchange_pack_{N} (max_start_ns, min_start_ns, row_count);

-- UDP flows that carry no DNS: all datagrams between two addresses and ports. Counts are those of the last look.
CREATE TABLE udp_flow_{N} (
    id                      INTEGER PRIMARY KEY,
    start_ns                INTEGER NOT NULL,
    last_delta_ns           INTEGER NOT NULL,         -- the last datagram, after start
    client_service_id       INTEGER NOT NULL,         -- the client is who sent first
    server_service_id       INTEGER NOT NULL,
    client_address          TEXT NOT NULL,
    client_port             INTEGER NOT NULL,
    client_local            INTEGER NOT NULL,
    client_netns            INTEGER NOT NULL,
    client_process_id       INTEGER,
    client_process_evidence TEXT NOT NULL,
    server_address          TEXT NOT NULL,
    server_port             INTEGER NOT NULL,
    server_local            INTEGER NOT NULL,
    server_netns            INTEGER NOT NULL,
    server_process_id       INTEGER,
    server_process_evidence TEXT NOT NULL,
    client_packets          INTEGER NOT NULL,
    client_bytes            INTEGER NOT NULL,         -- of payload
    server_packets          INTEGER NOT NULL,
    server_bytes            INTEGER NOT NULL,
    quic_version            INTEGER,                  -- NULL when it is not QUIC
    tls_server_name         TEXT,                     -- of the client's Initial, redacted
    icmp                    TEXT                      -- errors that ICMP told: how many of kinds beyond the first eight; then, behind
                                                      -- spaces, of each type and code with commas: how many, 1 when not all
                                                      -- are of one sender, time of the first after start_ns, and the last as
                                                      -- one of connection.icmp
);
CREATE INDEX udp_flow_{N}_start ON udp_flow_{N} (start_ns);
