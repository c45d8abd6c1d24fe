//! What some exchanges have in common that others have not.
//!
//! Owns: the traits of an exchange (who asked, who answered, connection, header names and values, query, path, size), and
//! which of them tell two groups apart: with hundreds of traits, some differ by chance.

use std::collections::{BTreeSet, HashMap};

use headwater_redact::render_headers;

use crate::QueryError;
use crate::chance;
use crate::db::{Row, query};
use crate::exchange::template;
use crate::integer::{float, narrow, unsigned};
use crate::names::{json_list, with_port};
use crate::snapshot::Snapshot;

/// What a trait is about. Of traits that the same exchanges have, the first by this order is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Aspect {
    /// Service, method and route: how it failed.
    CallFailed,
    /// The same, with status and content type.
    CallAnswered,
    /// `name=value`.
    QueryValue,
    /// `name: value`.
    RequestHeaderValue,
    /// Of a path, with its place.
    PathSegment,
    /// So many bytes or more.
    RequestBody,
    QueryParameter,
    RequestHeader,
    NoRequestHeader,
    /// Process number.
    ServerProcess,
    ServerAddress,
    Client,
    ClientAddress,
    ClientProcess,
    /// Method and route.
    Beside,
    CalledNobody,
    FirstOnConnection,
    LaterOnConnection,
    Version,
    Status,
    ResponseHeaderValue,
    ResponseHeader,
    NoResponseHeader,
}

impl Aspect {
    /// What is said of exchanges that have it; what was captured stands beside it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::CallFailed => {
                "this failure of what their process called meanwhile, for them or for others"
            }
            Self::CallAnswered => {
                "this answer to what their process called meanwhile, for them or for others"
            }
            Self::Beside => "this request under way at the same process when they began",
            Self::CalledNobody => "no call of their process meanwhile that could be seen",
            Self::QueryValue => "this value of a query parameter",
            Self::RequestHeaderValue => "this value of a request header",
            Self::PathSegment => "this segment of the path",
            Self::RequestBody => "a request body of so many bytes or more",
            Self::QueryParameter => "this query parameter",
            Self::RequestHeader => "this request header",
            Self::NoRequestHeader => "no such request header",
            Self::ServerProcess => "this process (pid) that answered",
            Self::ServerAddress => "this address that answered",
            Self::Client => "this client",
            Self::ClientAddress => "this client address",
            Self::ClientProcess => "this process (pid) that asked",
            Self::FirstOnConnection => "the first place on their connection",
            Self::LaterOnConnection => "a connection that was used before",
            Self::Version => "this version of HTTP",
            Self::Status => "this status",
            Self::ResponseHeaderValue => "this value of a response header",
            Self::ResponseHeader => "this response header",
            Self::NoResponseHeader => "no such response header",
        }
    }
}

/// One exchange's traits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    pub(crate) id: i64,
    /// By its row number.
    pub(crate) server_process: Option<i64>,
    /// When it was over, or the greatest number while it is not.
    pub(crate) end_ns: i64,
    traits: BTreeSet<(Aspect, String)>,
    /// Whether all header fields of request and response are there: of others nobody can say what they lack.
    has_all_fields: [bool; 2],
    /// Server, route (0 when there is none) and method.
    pub(crate) place: (i64, i64, String),
    pub(crate) start_ns: i64,
}

/// A trait that tells two groups apart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    pub(crate) aspect: Aspect,
    /// What was captured of it. Untrusted.
    pub(crate) captured: String,
    /// How many of the first group have it, and how many there are.
    pub(crate) of_some: (u64, u64),
    /// The same of the other group.
    pub(crate) of_others: (u64, u64),
    /// How likely chance makes such a difference, at most.
    pub(crate) chance: f64,
}

/// Reads the traits of exchanges of one segment; `responses` says whether those of responses are wanted.
pub(crate) fn read(
    snapshot: &mut Snapshot,
    segment: i64,
    ids: &[i64],
    responses: bool,
) -> Result<Vec<Sample>, QueryError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM exchange_rows({segment}) e LEFT JOIN connection c ON c.id = e.connection_id \
         LEFT JOIN process cp ON cp.id = c.client_process_id LEFT JOIN process sp ON sp.id = c.server_process_id \
         LEFT JOIN service s ON s.id = e.client_service_id WHERE e.id IN (SELECT value FROM json_each(?))"
    );
    let rows = query(sql)
        .bind(json_list(ids.iter().copied()))
        .fetch_all(snapshot.connection())?;
    let mut templates: HashMap<i64, Vec<u8>> = HashMap::new();
    let mut samples = Vec::with_capacity(rows.len());
    for row in rows {
        let mut sample = of_row(&row)?;
        let status: Option<i64> = row.try_get("http_response_status_code")?;
        if let Some(status) = status.filter(|_| responses) {
            sample.traits.insert((Aspect::Status, status.to_string()));
        }
        for (at, (block, holes)) in BLOCKS.iter().enumerate().take(1 + usize::from(responses)) {
            let Some(block): Option<i64> = row.try_get(*block)? else {
                continue;
            };
            if let std::collections::hash_map::Entry::Vacant(place) = templates.entry(block) {
                place.insert(template(snapshot, segment, block)?.unwrap_or_default());
            }
            let holes: Option<&[u8]> = row.try_get(*holes)?;
            let known = templates.get(&block).map_or(&[][..], Vec::as_slice);
            sample.headers(at, &render_headers(known, holes.unwrap_or_default()));
            let lacks = CUT[at] | FIELDS_UNKNOWN;
            sample.has_all_fields[at] &= row.try_get::<i64>("gaps")? & lacks == 0;
        }
        samples.push(sample);
    }
    Ok(samples)
}

fn of_row(row: &Row) -> Result<Sample, QueryError> {
    let start_ns: i64 = row.try_get("start_ns")?;
    let is_open = row.try_get::<i64>("outcome")? == OPEN;
    let lasted_ns: i64 = row.try_get("lasted_ns")?;
    let mut sample = Sample {
        id: row.try_get("id")?,
        server_process: row.try_get("server_process_id")?,
        end_ns: if is_open {
            i64::MAX
        } else {
            start_ns.saturating_add(lasted_ns)
        },
        place: (
            row.try_get("server_service_id")?,
            row.try_get::<Option<i64>>("route_id")?.unwrap_or(0),
            row.try_get::<Option<String>>("http_request_method")?
                .unwrap_or_default(),
        ),
        start_ns,
        ..Sample::default()
    };
    let mut add = |aspect: Aspect, text: String| {
        sample.traits.insert((aspect, text));
    };
    for (aspect, column) in [
        (Aspect::Client, "client"),
        (Aspect::ClientAddress, "client_address"),
    ] {
        if let Some(text) = row.try_get::<Option<String>>(column)? {
            add(aspect, text);
        }
    }
    for (aspect, column) in [
        (Aspect::ClientProcess, "client_pid"),
        (Aspect::ServerProcess, "server_pid"),
    ] {
        if let Some(pid) = row.try_get::<Option<i64>>(column)? {
            add(aspect, pid.to_string());
        }
    }
    if let Some(address) = row.try_get::<Option<&str>>("server_address")? {
        let port: i64 = row.try_get("server_port")?;
        add(Aspect::ServerAddress, with_port(address, narrow(port)));
    }
    let is_http2 = row.try_get::<Option<i64>>("http2_stream_id")?.is_some();
    add(
        Aspect::Version,
        if is_http2 { "HTTP/2" } else { "HTTP/1" }.to_owned(),
    );
    let place = match row.try_get::<i64>("ordinal")? {
        0 => Aspect::FirstOnConnection,
        _ => Aspect::LaterOnConnection,
    };
    add(place, String::new());
    let body = unsigned(
        row.try_get::<Option<i64>>("http_request_body_size")?
            .unwrap_or(0),
    );
    for least in BODY_SIZES.into_iter().filter(|least| body >= *least) {
        add(Aspect::RequestBody, least.to_string());
    }
    if let Some(path) = row.try_get::<Option<&str>>("url_path")? {
        let segments = path
            .split('/')
            .enumerate()
            .filter(|(_, text)| !text.is_empty());
        for (at, text) in segments.take(MOST_SEGMENTS) {
            add(Aspect::PathSegment, format!("{at}: {text}"));
        }
    }
    if let Some(query) = row.try_get::<Option<&str>>("url_query")? {
        for pair in query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .take(MOST_PAIRS)
        {
            let (name, _) = pair.split_once('=').unwrap_or((pair, ""));
            add(Aspect::QueryParameter, name.to_owned());
            add(Aspect::QueryValue, pair.to_owned());
        }
    }
    Ok(sample)
}

impl Sample {
    /// Takes over those of the request (0) or the response (1).
    fn headers(&mut self, side: usize, fields: &[headwater_redact::HeaderField]) {
        let (present, with_value) = match side {
            0 => (Aspect::RequestHeader, Aspect::RequestHeaderValue),
            _ => (Aspect::ResponseHeader, Aspect::ResponseHeaderValue),
        };
        self.has_all_fields[side] = fields.len() <= MOST_FIELDS;
        for field in fields.iter().take(MOST_FIELDS) {
            let name = field.name.to_ascii_lowercase();
            // Of these the value says what is known otherwise, or when it was sent.
            if !UNTELLING.contains(&name.as_str()) {
                self.traits
                    .insert((with_value, format!("{name}: {}", field.value.text)));
            }
            self.traits.insert((present, name));
        }
    }

    /// Adds one that was found elsewhere.
    pub(crate) fn add(&mut self, aspect: Aspect, text: String) {
        self.traits.insert((aspect, text));
    }

    /// What it cannot be said to have or not to have.
    fn unknown(&self) -> impl Iterator<Item = Aspect> {
        let has = |aspect: Aspect| self.traits.iter().any(|(own, _)| *own == aspect);
        let [request, response] = self.has_all_fields;
        [
            (has(Aspect::ServerProcess), Aspect::ServerProcess),
            (has(Aspect::ClientProcess), Aspect::ClientProcess),
            (request, Aspect::NoRequestHeader),
            (response, Aspect::NoResponseHeader),
        ]
        .into_iter()
        .filter_map(|(is_known, aspect)| (!is_known).then_some(aspect))
    }

    /// Whether it has what is different.
    pub(crate) fn has(&self, difference: &Difference) -> bool {
        let has = |aspect: Aspect| self.traits.contains(&(aspect, difference.captured.clone()));
        match difference.aspect {
            Aspect::NoRequestHeader => !has(Aspect::RequestHeader),
            Aspect::NoResponseHeader => !has(Aspect::ResponseHeader),
            aspect => has(aspect),
        }
    }
}

/// What tells the first group from the others, the least likely to be chance first.
pub(crate) fn differences(some: &[&Sample], others: &[&Sample]) -> Vec<Difference> {
    let mut counts: HashMap<(Aspect, &str), Count> = HashMap::new();
    let mut all = Count::default();
    // Of whom the process is not known, nobody can say that it is another one, and of a head that was not seen what it lacks.
    let mut unknown: BTreeSet<Aspect> = BTreeSet::new();
    let samples = some.iter().map(|sample| (true, sample));
    let samples = samples.chain(others.iter().map(|sample| (false, sample)));
    for (place, (is_some, sample)) in (0_u64..).zip(samples) {
        all.add(place, is_some);
        for (aspect, text) in &sample.traits {
            counts
                .entry((*aspect, text.as_str()))
                .or_default()
                .add(place, is_some);
        }
        unknown.extend(sample.unknown());
    }
    let absences: Vec<((Aspect, &str), Count)> = counts
        .iter()
        .filter_map(|((aspect, text), count)| {
            let absent = match aspect {
                Aspect::RequestHeader => Aspect::NoRequestHeader,
                Aspect::ResponseHeader => Aspect::NoResponseHeader,
                _ => return None,
            };
            Some(((absent, *text), all.without(count)))
        })
        .collect();
    counts.extend(absences);
    let mut found: Vec<(u64, Difference)> = counts
        .into_iter()
        .filter(|((aspect, _), _)| !unknown.contains(aspect))
        .filter_map(|((aspect, text), count)| {
            let (of_some, of_others) = ((count.some, all.some), (count.others, all.others));
            let share = |(part, whole): (u64, u64)| float(part) / float(whole.max(1));
            if share(of_some) - share(of_others) <= LEAST_DIFFERENCE {
                return None;
            }
            let chance = chance::of_shares(of_some, of_others);
            let difference = Difference {
                aspect,
                captured: text.to_owned(),
                of_some,
                of_others,
                chance,
            };
            (chance <= chance::MOST).then_some((count.whom, difference))
        })
        .collect();
    found.sort_by(|(_, one), (_, other)| {
        let order = one.chance.total_cmp(&other.chance);
        order.then_with(|| (one.aspect, &one.captured).cmp(&(other.aspect, &other.captured)))
    });
    // Several traits of the very same exchanges say one thing.
    let mut told = BTreeSet::new();
    found.retain(|(whom, _)| told.insert(*whom));
    found
        .into_iter()
        .map(|(_, difference)| difference)
        .collect()
}

#[derive(Default)]
struct Count {
    some: u64,
    others: u64,
    /// The same for traits that the same exchanges have.
    whom: u64,
}

impl Count {
    fn add(&mut self, place: u64, is_some: bool) {
        if is_some {
            self.some += 1;
        } else {
            self.others += 1;
        }
        self.whom ^= mixed(place);
    }

    /// Those of all that are not among these.
    fn without(&self, other: &Self) -> Self {
        Self {
            some: self.some - other.some,
            others: self.others - other.others,
            whom: self.whom ^ other.whom,
        }
    }
}

/// A number for each place that no sum of few others is likely to be (the finaliser of SplitMix64).
fn mixed(place: u64) -> u64 {
    let mut mixed = place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

const COLUMNS: &str = "e.id, e.outcome, COALESCE(e.response_end_delta_ns, e.end_delta_ns) AS lasted_ns, c.server_process_id, e.start_ns, e.gaps, e.server_service_id, e.route_id, e.http_request_method, e.http_response_status_code, e.ordinal, e.url_path, e.url_query, e.http_request_body_size, e.http2_stream_id, \
    e.request_header_block_id, e.request_header_holes, e.response_header_block_id, e.response_header_holes, \
    s.name AS client, c.client_address, c.server_address, c.server_port, cp.pid AS client_pid, sp.pid AS server_pid";
/// `exchange_N.outcome`.
const OPEN: i64 = 1;
const BLOCKS: [(&str, &str); 2] = [
    ("request_header_block_id", "request_header_holes"),
    ("response_header_block_id", "response_header_holes"),
];
const UNTELLING: [&str; 5] = ["content-length", "date", "age", "traceparent", "etag"];
/// Bits of `exchange_N.gaps`: the head of the request or response was cut, and fields of a head are not known.
const CUT: [i64; 2] = [1, 2];
const FIELDS_UNKNOWN: i64 = 1 << 8;
const BODY_SIZES: [u64; 6] = [1, 1_024, 8_192, 65_536, 262_144, 1_048_576];
const MOST_SEGMENTS: usize = 8;
const MOST_PAIRS: usize = 16;
/// Between the two shares.
const LEAST_DIFFERENCE: f64 = 0.5;
/// Header fields of a message; a head of more is made to be one.
const MOST_FIELDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(traits: &[(Aspect, &str)]) -> Sample {
        let traits = traits.iter();
        Sample {
            has_all_fields: [true; 2],
            traits: traits
                .map(|(aspect, text)| (*aspect, (*text).to_owned()))
                .collect(),
            ..Sample::default()
        }
    }

    #[test]
    fn what_only_the_failing_have_is_found_and_told_once() {
        let bad = sample(&[
            (Aspect::RequestHeaderValue, "x-tenant: acme"),
            (Aspect::RequestHeader, "x-tenant"),
            (Aspect::Client, "curl"),
            (Aspect::ClientProcess, "7"),
        ]);
        let good = sample(&[
            (Aspect::RequestHeaderValue, "x-tenant: other"),
            (Aspect::RequestHeader, "x-tenant"),
            (Aspect::Client, "curl"),
        ]);
        let (some, others) = (vec![&bad; 6], vec![&good; 40]);
        let found = differences(&some, &others);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].captured, "x-tenant: acme");
        assert_eq!((found[0].of_some, found[0].of_others), ((6, 6), (0, 40)));
    }

    #[test]
    fn a_header_that_is_missing_is_found() {
        let host = (Aspect::RequestHeader, "host");
        let bad = sample(&[host]);
        let good = sample(&[host, (Aspect::RequestHeader, "authorization")]);
        let found = differences(&[&bad; 9], &[&good; 30]);
        assert!(bad.has(&found[0]) && !good.has(&found[0]));
        let told: Vec<_> = found
            .iter()
            .map(|it| (it.aspect, it.captured.as_str()))
            .collect();
        assert_eq!(told, [(Aspect::NoRequestHeader, "authorization")]);
    }

    /// A head that was cut, or not seen, lacks nothing that is known.
    #[test]
    fn what_was_not_seen_is_not_missing() {
        let mut bad = sample(&[]);
        bad.has_all_fields = [false; 2];
        let good = sample(&[(Aspect::RequestHeader, "authorization")]);
        assert_eq!(differences(&[&bad; 9], &[&good; 30]), []);
    }

    /// One failure says nothing, and neither does a trait that half of the good ones have.
    #[test]
    fn chance_is_not_told() {
        let bad = sample(&[(Aspect::Client, "a")]);
        let good = sample(&[(Aspect::Client, "b")]);
        assert_eq!(differences(&[&bad], &[&good; 20]), []);
        let mixed: Vec<&Sample> = [&bad, &good].into_iter().cycle().take(40).collect();
        assert_eq!(differences(&[&bad; 20], &mixed), []);
    }
}
