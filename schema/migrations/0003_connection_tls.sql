-- What a connection's handshake of TLS said in clear; numbers of versions, cipher suites and alerts are IANA's. Names were
-- captured and are redacted, so that no line feed and no tab stands in them. Goes with its connection.
CREATE TABLE connection_tls (
    connection_id      INTEGER PRIMARY KEY,
    error_kind         INTEGER,            -- as rollup_N.kind, of a handshake that failed: 10000 + the alert's description;
                                           -- 10300 an encrypted alert, most likely; 10301 the connection ended before the server
                                           -- answered, 10302 before the client had finished; 10303 the server spoke no TLS,
                                           -- 10304 the client
    alert_by           TEXT,               -- client | server, of the alert that it failed of
    begun_ns           INTEGER NOT NULL,   -- the ClientHello, after start_ns of the connection
    done_ns            INTEGER,            -- the last Finished, after begun_ns
    tls_version        INTEGER,
    tls_cipher         INTEGER,
    tls_alpn           TEXT,
    tls_server_name    TEXT,
    tls_ja4            TEXT,
    flags              INTEGER NOT NULL,   -- of the client's hello 1 Encrypted Client Hello, 2 a session to be resumed, 4 early
                                           -- data; 8 another hello was asked for; 16 resumed by a PSK, 32 by a session id or
                                           -- ticket; the name that was asked for is 64 in the certificate, 128 not in it; 256 not
                                           -- all certificates were seen
    offered_versions   TEXT NOT NULL,      -- numbers with commas
    offered_alpn       TEXT NOT NULL,      -- a line each
    certificate_count  INTEGER NOT NULL,
    certificates       TEXT NOT NULL,      -- a line each, the server's own first, with tabs: SHA-256, common names of subject and
                                           -- issuer, seconds since the epoch from which and until which it is valid, 1 where
                                           -- subject and issuer are one, kind of its key, how many names of hosts, some of them
    client_certificate INTEGER,            -- how many the client sent; -1 it was asked for them
    alerts             TEXT NOT NULL       -- time after start_ns, client or server, level, description (the last two empty where
                                           -- it is encrypted), with commas; spaces between them
);
CREATE INDEX connection_tls_failed ON connection_tls (error_kind, connection_id) WHERE error_kind IS NOT NULL;

-- A library that is not read holds from when it was met until its run's end.
CREATE INDEX coverage_library ON coverage (run_id) WHERE kind = 'tls_library_not_read';
