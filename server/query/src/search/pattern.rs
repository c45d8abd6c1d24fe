//! The small languages of the `path` and `status` arguments.

use crate::QueryError;

/// A path filter as a GLOB pattern: contained text, `=` for the whole path, `*` as wildcard.
pub(crate) fn path_glob(text: &str) -> String {
    let (exact, text) = text
        .strip_prefix('=')
        .map_or((false, text), |rest| (true, rest));
    let mut glob = String::from(if exact { "" } else { "*" });
    for character in text.chars() {
        match character {
            '?' => glob.push_str("[?]"),
            '[' => glob.push_str("[[]"),
            other => glob.push(other),
        }
    }
    if !exact {
        glob.push('*');
    }
    glob
}

/// Status codes as inclusive ranges: `404`, `5xx`, `400-499`, or several with commas.
///
/// # Errors
/// `Argument`, showing the right forms.
pub(crate) fn status_ranges(text: &str) -> Result<Vec<(i64, i64)>, QueryError> {
    text.split(',')
        .map(|part| {
            status_range(part.trim()).filter(|(from, to)| 100 <= *from && from <= to && *to <= 599)
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| QueryError::Argument {
            argument: "status",
            problem: "give codes from 100 to 599 such as 404, 5xx or 400-499, or with protocol dns response codes such as NXDOMAIN; \
                      several with commas"
                .to_owned(),
        })
}

fn status_range(part: &str) -> Option<(i64, i64)> {
    if let Some((from, to)) = part.split_once('-') {
        return Some((code(from.trim())?, code(to.trim())?));
    }
    if let Some(class) = part.strip_suffix("xx").or_else(|| part.strip_suffix("XX")) {
        let class = class
            .parse::<i64>()
            .ok()
            .filter(|class| (1..=5).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    code(part).map(|code| (code, code))
}

fn code(text: &str) -> Option<i64> {
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(path_glob("/a"), "*/a*");
        assert_eq!(path_glob("=/a"), "/a");
        assert_eq!(path_glob("=/a/*/c"), "/a/*/c");
        assert_eq!(path_glob("a[1]?"), "*a[[]1][?]*");
    }

    #[test]
    fn statuses() {
        assert_eq!(status_ranges("404").unwrap(), [(404, 404)]);
        assert_eq!(status_ranges("5xx, 404").unwrap(), [(500, 599), (404, 404)]);
        assert_eq!(status_ranges("400-499").unwrap(), [(400, 499)]);
        for bad in [
            "", "4", "6xx", "0xx", "499-400", "600", "99", "+40", "abc", "404,", "1e2",
        ] {
            assert!(status_ranges(bad).is_err(), "{bad}");
        }
    }
}
