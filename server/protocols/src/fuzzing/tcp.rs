//! Options of TCP: what is read is what a list of kinds and values says; where they are sound, nothing behind their end
//! changes it, and neither does a no-operation before them.

use crate::tcp::{Options, options};

pub(super) fn run(data: &[u8]) {
    let read = options(data);
    let (listed, is_whole) = list(data);
    let last = |kind, length| {
        let of_it = |(other, value): &&(u8, &[u8])| *other == kind && value.len() == length;
        listed.iter().rfind(of_it).map(|(_, value)| *value)
    };
    assert_eq!(
        read.mss
            .map(u16::to_be_bytes)
            .as_ref()
            .map(<[u8; 2]>::as_slice),
        last(2, 2)
    );
    assert_eq!(
        read.window_scale.as_ref().map(std::slice::from_ref),
        last(3, 1)
    );
    assert_eq!(read.sack_permitted, last(4, 0).is_some());
    assert_eq!(read.timestamps, last(8, 8).is_some());
    let cookie = listed.iter().rfind(|(kind, _)| *kind == 34);
    assert_eq!(
        read.fast_open.map(usize::from),
        cookie.map(|(_, value)| value.len())
    );
    let others = listed
        .iter()
        .map(|(kind, _)| *kind)
        .filter(|kind| length(*kind).is_none());
    let others = others.filter(|kind| *kind != 34);
    let told = read.others.into_iter().filter(|kind| *kind != 0);
    assert!(told.eq(others.take(read.others.len())));
    let is_sound =
        |(kind, value): &(u8, &[u8])| length(*kind).is_none_or(|length| value.len() == length);
    assert_eq!(read.is_malformed, !is_whole || !listed.iter().all(is_sound));

    assert_eq!(options(&[&[1], data].concat()), read);
    assert_eq!(options(&[&[0], data].concat()), Options::default());
    if is_whole {
        assert_eq!(options(&[data, &[0, 2, 4, 1]].concat()), read);
    }
}

/// How long the value of an option is that has one length only.
fn length(kind: u8) -> Option<usize> {
    match kind {
        2 => Some(2),
        3 => Some(1),
        4 => Some(0),
        8 => Some(8),
        _ => None,
    }
}

/// Kinds and values in order, and whether the last of them is whole.
fn list(data: &[u8]) -> (Vec<(u8, &[u8])>, bool) {
    let (mut listed, mut at) = (Vec::new(), 0);
    loop {
        match data.get(at) {
            None | Some(0) => return (listed, true),
            Some(1) => at += 1,
            Some(kind) => {
                let length = data.get(at + 1).map_or(0, |length| usize::from(*length));
                let Some(value) = data.get(at + 2..at + length) else {
                    return (listed, false);
                };
                listed.push((*kind, value));
                at += length;
            }
        }
    }
}
