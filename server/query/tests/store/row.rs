//! One exchange for the fixture to write.

/// One exchange to write; what is not said is unremarkable.
pub(crate) struct Row<'a> {
    pub(crate) start_ns: i64,
    pub(crate) latency_ns: i64,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) status: Option<i64>,
    pub(crate) outcome: i64,
    pub(crate) connection: i64,
    pub(crate) client: i64,
    pub(crate) server: i64,
    pub(crate) request: &'a [(&'a str, &'a str)],
}

impl Default for Row<'_> {
    fn default() -> Self {
        Self {
            start_ns: 0,
            latency_ns: 5_000_000,
            method: "GET",
            path: "/",
            status: Some(200),
            outcome: 0,
            connection: 1,
            client: 2,
            server: 1,
            request: &[],
        }
    }
}
