//! Header blocks as they are stored: a template that repeats from message to message, and the values that do not.
//!
//! The template holds names (case as received, in order) and the values that rarely change; `holes` holds the rest
//! (hashes, dates, lengths), in order. Ten thousand requests of one client then share one template row.

/// One message's header block, redacted, split into the part that repeats and the part that does not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderBlock {
    pub(crate) template: Vec<u8>,
    pub(crate) holes: Vec<u8>,
}

impl HeaderBlock {
    /// The repeating part: stored once for each segment and referred to.
    pub fn template(&self) -> &[u8] {
        &self.template
    }
    /// What fills the template's holes for this message.
    pub fn holes(&self) -> &[u8] {
        &self.holes
    }
}

/// One header field as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderField {
    /// Field name, case as received.
    pub name: String,
    /// Field value, redacted.
    pub value: HeaderValue,
}

/// A header value, and whether any part of it was replaced by a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderValue {
    /// The redacted value.
    pub text: String,
    /// Whether a part of it is a hash.
    pub redacted: bool,
}

/// The fields of a stored header block, in the order received. Damaged input gives the fields up to the damage.
pub fn render_headers(template: &[u8], holes: &[u8]) -> Vec<HeaderField> {
    let _ = (template, holes);
    todo!()
}
