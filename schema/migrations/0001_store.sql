-- The store of Headwater. Written by headwater-store alone, read by headwater-query alone.
--
-- Exchanges live in time segments: for segment N the tables exchange_N, exchange_pack_N, header_block_N, dns_exchange_N,
-- dns_exchange_pack_N, udp_flow_N, identifier_run_N, identifier_N and rollup_N are made from segment.sql. Retention drops whole segments, so that no row is ever deleted one by one and pages are reused at once.
-- All times are nanoseconds since the Unix epoch (INTEGER). All TEXT that was captured is redacted before it comes here.
-- Names follow OpenTelemetry semantic conventions with '.' written as '_'.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,          -- store_tag, key_fingerprint, next_exchange_id, next_connection_id, next_dns_exchange_id
    value TEXT NOT NULL
) WITHOUT ROWID;

-- One row for each life of a recorder (or of one replay).
CREATE TABLE recorder_run (
    id           INTEGER PRIMARY KEY,
    source       TEXT NOT NULL,      -- live | replay
    boot_id      TEXT NOT NULL,
    pid          INTEGER NOT NULL,
    version      TEXT NOT NULL,
    settings     TEXT NOT NULL,      -- JSON: cap, filter, keep_headers; never secrets
    started_ns   INTEGER NOT NULL,
    heartbeat_ns INTEGER NOT NULL,   -- last commit; older than 5 s while not stopped means killed
    stopped_ns   INTEGER,
    stop_reason  TEXT                -- signal | error | end_of_input | killed (found by the next run) | clock_set_back (the same recorder goes on as the next run)
);

CREATE TABLE service (
    id   INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,              -- container | unit | program | host | address
    name TEXT NOT NULL,
    port INTEGER NOT NULL,           -- 0 for a caller
    UNIQUE (name, port, kind)
);

CREATE TABLE route (
    id         INTEGER PRIMARY KEY,
    service_id INTEGER NOT NULL REFERENCES service (id),
    template   TEXT NOT NULL,        -- http.route, or (other) beyond the cap
    UNIQUE (service_id, template)
);

CREATE TABLE process (
    id              INTEGER PRIMARY KEY,
    run_id          INTEGER NOT NULL,
    pid             INTEGER NOT NULL,
    start_boot_ns   INTEGER NOT NULL,
    executable_name TEXT NOT NULL,
    executable_path TEXT,
    command_line    TEXT,
    cgroup          TEXT,
    container_id    TEXT,
    ancestors       TEXT NOT NULL,   -- pids, nearest first, comma separated: who forked, and then whom it was found under
    service_id      INTEGER NOT NULL,
    first_seen_ns   INTEGER NOT NULL,
    end_ns          INTEGER,         -- NULL while it runs, or when nobody saw its end
    exit_code       INTEGER,
    exit_signal     INTEGER,
    start_ns        INTEGER,         -- NULL when unknown
    forked_from     INTEGER,         -- pid of the process that forked it; NULL when unknown
    executed_ns     INTEGER          -- when it began to run its program; NULL when unknown, or when it runs its parent's
);
-- For the process in whose place another came.
CREATE INDEX process_ended ON process (service_id, end_ns) WHERE end_ns IS NOT NULL;

CREATE TABLE connection (
    id               INTEGER PRIMARY KEY,   -- printed as c_…
    run_id           INTEGER NOT NULL,
    start_ns         INTEGER NOT NULL,
    end_ns           INTEGER,
    close_reason     TEXT NOT NULL,         -- open | fin | client_reset | server_reset | refused | timed_out | unreachable | gave_up | unknown
    joined_midstream INTEGER NOT NULL,
    network_protocol_name TEXT,
    client_address      TEXT NOT NULL,
    client_port         INTEGER NOT NULL,
    client_peer_address TEXT,               -- what the client dialled, where translation made it differ from server_address
    client_peer_port    INTEGER,
    client_local        INTEGER NOT NULL,
    client_netns        INTEGER NOT NULL,
    client_process_id   INTEGER,
    client_process_evidence TEXT NOT NULL,  -- none | socket_lock | turn_start | proc
    client_service_id   INTEGER NOT NULL,
    server_address      TEXT NOT NULL,
    server_port         INTEGER NOT NULL,
    server_peer_address TEXT,               -- whom the server saw, where translation made it differ from client_address
    server_peer_port    INTEGER,
    server_local        INTEGER NOT NULL,
    server_netns        INTEGER NOT NULL,
    server_process_id   INTEGER,
    server_process_evidence TEXT NOT NULL,
    server_service_id   INTEGER NOT NULL,
    client_bytes     INTEGER NOT NULL,
    server_bytes     INTEGER NOT NULL,
    retransmits      INTEGER NOT NULL,
    client_tcp       TEXT,                  -- what the headers of the client's packets said: numbers with commas
                                            -- (headwater_pack::numbers); times are after start_ns:
                                            -- of its first packet flags (1 seen as it arrived, 2 + 4 * don't fragment), interface,
                                            -- hop limit, traffic class, flow label, extension headers (1 hop-by-hop 2 routing
                                            -- 4 fragment 8 destination options 16 authentication); of its SYN or SYN-ACK time, flags
                                            -- (1 ECE 2 CWR 4 SACK-permitted 8 timestamps 16 malformed), window, MSS, window scale,
                                            -- bytes of the Fast Open cookie, kinds of four other options (a byte each); how often
                                            -- that was sent again, first payload, FIN, RST; packets, retransmissions, out of order,
                                            -- duplicates, zero windows, keep-alives, window probes, Congestion Experienced, resets; of its socket,
                                            -- as of include/linux/tcp.h, when it was closed, the state that it left, sk_err,
                                            -- sk_err_soft, bytes_acked, bytes_received, bytes_retrans, srtt_us, rtt_min,
                                            -- total_retrans, segs_in, segs_out, data_segs_in, data_segs_out, rcv_ooopack, dsack_dups,
                                            -- reord_seen, delivered_ce, mss_cache, what was negotiated (1 timestamps 2 window
                                            -- scaling 4 SACK), ECN, icsk_retransmits
    server_tcp       TEXT,                  -- of the server's
    packet_drops     TEXT,                  -- packets of it that this machine's kernel dropped: by (client | server), the kernel's
                                            -- reason, how many and when the first, after start_ns, with colons; each of them
                                            -- behind a comma
    http2            TEXT,                  -- numbers likewise, of the client and then of the server: SETTINGS_HEADER_TABLE_SIZE,
                                            -- _ENABLE_PUSH, _MAX_CONCURRENT_STREAMS, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE,
                                            -- _MAX_HEADER_LIST_SIZE; frames of SETTINGS and PING without acknowledgements, of
                                            -- RST_STREAM, PUSH_PROMISE, PRIORITY_UPDATE, GOAWAY; of the last GOAWAY time, error
                                            -- code, last stream
    icmp             TEXT                   -- errors that ICMP told: how many, the first and the last, with spaces between; of each,
                                            -- with commas: time after start_ns, client or server (who sent the packet that it is
                                            -- about), type, code, MTU, who sent it (an address of IPv6: RFC 4443, else RFC 792)
);
CREATE INDEX connection_failed ON connection (start_ns) WHERE close_reason IN ('refused', 'timed_out', 'unreachable', 'gave_up');

-- The name that a connection's server was found by: the newest DNS answer with its address before the connection began.
CREATE TABLE connection_resolution (
    connection_id   INTEGER PRIMARY KEY,
    dns_exchange_id INTEGER NOT NULL,       -- of dns_exchange_N, which may be gone
    name            TEXT NOT NULL,          -- redacted
    before_ns       INTEGER NOT NULL,       -- from the answer to the connection's start
    asked_by        TEXT NOT NULL           -- process: the client's own | namespace: somebody in its network namespace |
                                            -- address: somebody at its address (capture files)
);

CREATE TABLE segment (
    id                INTEGER PRIMARY KEY,
    created_ns        INTEGER NOT NULL,
    closed_ns         INTEGER,              -- NULL for the one being written
    first_exchange_id INTEGER NOT NULL,
    min_start_ns      INTEGER,              -- of its exchanges
    max_start_ns      INTEGER,
    row_count         INTEGER NOT NULL DEFAULT 0,
    -- For retention alone: which connections no later segment can refer to.
    first_connection_id INTEGER NOT NULL DEFAULT 0,
    live_connections    TEXT,               -- JSON list of older ones that lived on when this segment began
    -- Grows when the wall clock is set back: times of one epoch come again in the next, and what is newer is in the later one.
    clock_epoch         INTEGER NOT NULL DEFAULT 0
);

-- One row for each committed batch, or for a few small ones in a row: which ids they hold and which times. Ids grow in
-- order of commit, so a time window becomes a few id ranges without an index on every exchange.
CREATE TABLE exchange_block (
    first_id     INTEGER PRIMARY KEY,
    last_id      INTEGER NOT NULL,
    segment_id   INTEGER NOT NULL,
    min_start_ns INTEGER NOT NULL,
    max_start_ns INTEGER NOT NULL
);

CREATE TABLE coverage (
    id      INTEGER PRIMARY KEY,
    run_id  INTEGER NOT NULL,
    kind    TEXT NOT NULL,                  -- CoverageKind in snake_case
    from_ns INTEGER NOT NULL,
    until_ns INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    detail  TEXT
);
CREATE INDEX coverage_until ON coverage (until_ns);
-- What cannot be seen at all holds for the whole run, whatever times its row has.
CREATE INDEX coverage_unsupported ON coverage (run_id) WHERE kind = 'unsupported';

-- Packets that this machine's kernel dropped while a recorder ran, by the kernel's own names for its reasons (enum
-- skb_drop_reason without the prefix): of any protocol, in any network namespace.
CREATE TABLE kernel_drop (
    run_id   INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    count    INTEGER NOT NULL,
    first_ns INTEGER NOT NULL,
    last_ns  INTEGER NOT NULL,
    PRIMARY KEY (run_id, reason)
) WITHOUT ROWID;

-- Files that were replayed, so that the same file twice adds nothing.
CREATE TABLE replayed_file (
    sha256      TEXT PRIMARY KEY,
    run_id      INTEGER NOT NULL,
    replayed_ns INTEGER NOT NULL
) WITHOUT ROWID;
