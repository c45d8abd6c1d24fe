//! One header's whole value, in pages.

use super::{HeaderPage, find};
use crate::answer::{Emptiness, Window};
use crate::coverage::{About, Framed};
use crate::recorder::Runs;
use crate::snapshot::Snapshot;
use crate::{Answer, QueryError, cursor, segments};

/// Answers with as much of the values as `max_bytes` allow, in the order request, response.
pub(crate) fn header(
    snapshot: &mut Snapshot,
    id: &str,
    header: &str,
    cursor: Option<&str>,
    max_bytes: usize,
) -> Result<Answer<Vec<HeaderPage>>, QueryError> {
    if header.is_empty()
        || header.len() > LONGEST_NAME
        || !header.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(QueryError::Argument {
            argument: "header",
            problem: "give the name of a header, such as content-type".to_owned(),
        });
    }
    let question = cursor::question(&format!("{id}\n{}", header.to_ascii_lowercase()));
    let [skipped, offset] = match cursor {
        None => [0, 0],
        Some(text) => cursor::decode(question, text)?,
    };
    let segments = segments::all(snapshot)?;
    let record = find(snapshot, &segments, id)?;
    let mut values = Vec::new();
    for (request, of) in [(true, "request"), (false, "response")] {
        let fields = record.headers(snapshot, request)?;
        let named = fields
            .into_iter()
            .filter(|field| field.name.eq_ignore_ascii_case(header));
        values.extend(named.map(|field| (of, field.name, field.value.text)));
    }
    let none = values.is_empty();
    let (pages, next) = cut(values, skipped, offset, max_bytes.max(LEAST))?;
    let gaps = record.gaps()?;
    let runs = Runs::load(snapshot)?;
    let framed = Framed {
        about: About::Http,
        value: pages,
        empty: false,
        window: Window { ..record.window() },
        next_cursor: next.map(|next| cursor::encode(question, next)),
        remarks: Vec::new(),
    };
    let answer = framed.finish(snapshot, &runs, &segments)?;
    Ok(Answer {
        window: None,
        emptiness: none.then(|| emptiness(&gaps)),
        ..answer
    })
}

fn emptiness(gaps: &[&str]) -> Emptiness {
    if gaps.iter().any(|gap| {
        matches!(
            *gap,
            "request_head_cut" | "response_head_cut" | "records_lost" | "capture_hole"
        )
    }) {
        return Emptiness::NotSeen {
            why: "No such header was seen, and a head of this exchange was not seen whole."
                .to_owned(),
        };
    }
    Emptiness::NothingMatched { in_window: 1 }
}

/// Pages from occurrence number `skipped` on, `offset` bytes into it, and where the next ones begin.
fn cut(
    values: Vec<(&'static str, String, String)>,
    skipped: u64,
    offset: u64,
    max_bytes: usize,
) -> Result<(Vec<HeaderPage>, Option<[u64; 2]>), QueryError> {
    let mut pages = Vec::new();
    let (mut left, mut offset) = (max_bytes, offset);
    for (number, (of, name, value)) in (0_u64..)
        .zip(values)
        .skip_while(|(number, _)| *number < skipped)
    {
        let start = usize::try_from(offset).map_err(|_| cursor::damaged())?;
        let rest = value.get(start..).ok_or_else(cursor::damaged)?;
        if left < LEAST {
            return Ok((pages, Some([number, offset])));
        }
        let end = rest.floor_char_boundary(left);
        let part = rest.get(..end).unwrap_or_default();
        pages.push(HeaderPage {
            name,
            of,
            value: part.to_owned(),
            offset,
            full_bytes: length(value.len()),
        });
        if end < rest.len() {
            return Ok((pages, Some([number, offset.saturating_add(length(end))])));
        }
        left = left.saturating_sub(end + ROW_BYTES);
        offset = 0;
    }
    Ok((pages, None))
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// What a page takes besides its part of a value, so that many short values are not given at once.
const ROW_BYTES: usize = 60;
/// Room for the longest character.
const LEAST: usize = 4;
const LONGEST_NAME: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_put_together_are_the_value() {
        let values = vec![
            ("request", "A".to_owned(), "ä€𝄞x".repeat(9)),
            ("request", "a".to_owned(), String::new()),
            ("response", "A".to_owned(), "short".to_owned()),
        ];
        for max_bytes in [4, 5, 7, 16, 500] {
            let (mut at, mut together) = ([0, 0], vec![String::new(); 3]);
            loop {
                let (pages, next) = cut(values.clone(), at[0], at[1], max_bytes).unwrap();
                assert!(!pages.is_empty());
                assert!(pages.iter().map(|page| page.value.len()).sum::<usize>() <= max_bytes);
                for (place, page) in (usize::try_from(at[0]).unwrap()..).zip(pages) {
                    assert_eq!(page.offset, length(together[place].len()));
                    together[place].push_str(&page.value);
                }
                let Some(next) = next else { break };
                at = next;
            }
            assert!(
                together.iter().eq(values.iter().map(|(.., value)| value)),
                "{max_bytes}"
            );
        }
        let empty = vec![("request", "a".to_owned(), String::new()); 2_000];
        let (pages, next) = cut(empty, 0, 0, 600).unwrap();
        assert_eq!((pages.len(), next), (10, Some([10, 0])));
        assert!(cut(values.clone(), 0, 1, 10).is_err(), "not at a character");
        assert!(cut(values, 0, 10_000, 10).is_err());
    }
}
