//! QUIC: datagrams in any order, cut or whole, do no harm; a name that is told stands in a message that is known, and a
//! message that is cut tells the name of the whole one or none.
//!
//! Steps are datagrams; of hidden ones only the half was copied.

use super::script::{Kind, Script};
use crate::quic::{Beginning, server_name, version};

pub(super) fn run(data: &[u8]) {
    let script = Script::read(data);
    let mut beginning = Beginning::default();
    for step in &script.steps {
        let half = step.bytes.len() / 2;
        let seen = match step.kind {
            Kind::Hidden => step.bytes.get(..half).unwrap_or_default(),
            Kind::Bytes | Kind::Mark => step.bytes,
        };
        let name = beginning.datagram(seen);
        assert!(name.is_none_or(|name| !name.is_empty()));
        if version(seen).is_none() {
            assert_eq!(Beginning::default().datagram(seen), None);
        }
    }
    let whole = server_name(script.stream);
    for at in (0..script.stream.len()).step_by(1 + script.stream.len() / 64) {
        let cut = server_name(script.stream.get(..at).unwrap_or_default());
        assert!(cut.is_none() || cut == whole);
    }
}
