//! Prefixes by which issuers mark their tokens.
//!
//! From GitHub's secret scanning list and gitleaks. A prefix that is also a word (`key-`, `sk-`, a language) counts only
//! before a long run that no word is.

/// Whether a token of a known issuer begins at the start of a run of letters and digits.
pub(super) fn has_known(piece: &[u8]) -> bool {
    let mut rest = piece;
    loop {
        if rest.len() < SHORTEST {
            return false;
        }
        if begins_with_known(rest) {
            return true;
        }
        // To the start of the next run.
        let Some(mark) = rest.iter().position(|byte| !byte.is_ascii_alphanumeric()) else {
            return false;
        };
        let Some((_, tail)) = rest.split_at_checked(mark) else {
            return false;
        };
        let Some(start) = tail.iter().position(u8::is_ascii_alphanumeric) else {
            return false;
        };
        let Some((_, next)) = tail.split_at_checked(start) else {
            return false;
        };
        rest = next;
    }
}

fn begins_with_known(piece: &[u8]) -> bool {
    let Some(first) = piece.first() else {
        return false;
    };
    let after = |prefix: &&str| {
        let same = prefix.as_bytes().first() == Some(first);
        if same {
            piece.strip_prefix(prefix.as_bytes())
        } else {
            None
        }
    };
    STRONG
        .iter()
        .filter_map(after)
        .any(|rest| token_bytes(rest) >= STRONG_BYTES)
        || WEAK.iter().filter_map(after).any(has_long_run)
        || AWS.iter().filter_map(after).any(is_aws_id)
}

fn token_bytes(rest: &[u8]) -> usize {
    rest.iter()
        .take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'/')
        })
        .count()
}

fn has_long_run(rest: &[u8]) -> bool {
    rest.split(|byte| !byte.is_ascii_alphanumeric())
        .any(|run| run.len() >= WEAK_RUN && run.iter().any(u8::is_ascii_digit))
}

fn is_aws_id(rest: &[u8]) -> bool {
    rest.len() >= 16
        && rest
            .iter()
            .take(16)
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// `eyJ` and what a strong prefix needs behind it.
const SHORTEST: usize = 3 + STRONG_BYTES;
const STRONG_BYTES: usize = 12;
const WEAK_RUN: usize = 16;

const AWS: &[&str] = &["AKIA", "ASIA", "AROA", "AIDA", "ABIA", "ACCA"];

const STRONG: &[&str] = &[
    "AGE-SECRET-KEY-",
    "AIza",
    "ATATT3",
    "ATBB",
    "dckr_pat_",
    "doo_v1_",
    "dop_v1_",
    "dor_v1_",
    "eyJ",
    "figd_",
    "ghe_",
    "gho_",
    "ghp_",
    "ghr_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glcbt-",
    "gldt-",
    "glft-",
    "glpat-",
    "glptt-",
    "glrt-",
    "glsa_",
    "glsoat-",
    "gsk_",
    "hvb.",
    "hvr.",
    "hvs.",
    "lin_api_",
    "nvapi-",
    "pk_live_",
    "pk_test_",
    "pypi-AgE",
    "rk_live_",
    "rk_test_",
    "rubygems_",
    "shpat_",
    "shpca_",
    "shppa_",
    "shpss_",
    "sk-ant-",
    "sk-proj-",
    "sk_live_",
    "sk_test_",
    "sq0atp-",
    "sq0csp-",
    "tskey-",
    "whsec_",
    "xapp-",
    "xoxa-",
    "xoxb-",
    "xoxe-",
    "xoxo-",
    "xoxp-",
    "xoxr-",
    "xoxs-",
    "ya29.",
];

const WEAK: &[&str] = &[
    "SG.", "api-", "api_", "hf_", "key-", "key_", "npm_", "pat_", "pk-", "pk_", "rk-", "rk_",
    "sess-", "sess_", "session-", "session_", "sid-", "sk-", "sk_", "tok-", "tok_", "token-",
    "token_", "xai-",
];
