-- What the header of the PROXY protocol said with which a connection begins: whom its client says it stands for, and where that one
-- had connected to. Addresses and ports are NULL where the client speaks for itself, or does not tell. Goes with its connection.
CREATE TABLE connection_proxied (
    connection_id       INTEGER PRIMARY KEY,
    proxy_version       INTEGER NOT NULL,   -- 1 | 2
    said_ns             INTEGER NOT NULL,   -- after start_ns of the connection
    source_address      TEXT,
    source_port         INTEGER,
    destination_address TEXT,
    destination_port    INTEGER
);
