//! HTTP/1.x: message framing of both directions of one connection, and the pairing of requests with responses.
