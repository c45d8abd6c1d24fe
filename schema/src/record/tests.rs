extern crate std;
use std::vec;

use super::*;

fn check<R: Copy + PartialEq + core::fmt::Debug>(
    size: usize,
    decode: fn(&[u8]) -> Option<R>,
    encode: fn(&R, &mut [u8]) -> Option<usize>,
) {
    let bytes: vec::Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let record = decode(&bytes).unwrap();
    let mut back = vec![0; size];
    assert_eq!(encode(&record, &mut back), Some(size));
    assert_eq!(bytes, back, "every byte has a field: no padding");
    for cut in 0..size {
        assert_eq!(decode(&bytes[..cut]), None, "cut at {cut}");
        assert_eq!(encode(&record, &mut back[..cut]), None, "no room at {cut}");
    }
}

#[test]
fn every_cut_point_is_refused() {
    check(Header::SIZE, Header::decode, Header::encode);
    check(EndRecord::SIZE, EndRecord::decode, EndRecord::encode);
    check(SynRecord::SIZE, SynRecord::decode, SynRecord::encode);
    check(TurnRecord::SIZE, TurnRecord::decode, TurnRecord::encode);
    check(OwnerRecord::SIZE, OwnerRecord::decode, OwnerRecord::encode);
    check(
        SocketRecord::SIZE,
        SocketRecord::decode,
        SocketRecord::encode,
    );
    check(ExecRecord::SIZE, ExecRecord::decode, ExecRecord::encode);
    check(ExitRecord::SIZE, ExitRecord::decode, ExitRecord::encode);
    check(
        SessionRecord::SIZE,
        SessionRecord::decode,
        SessionRecord::encode,
    );
    check(IdleRecord::SIZE, IdleRecord::decode, IdleRecord::encode);
    check(DropRecord::SIZE, DropRecord::decode, DropRecord::encode);
    check(
        DatagramRecord::SIZE,
        DatagramRecord::decode,
        DatagramRecord::encode,
    );
    check(
        HeadersRecord::SIZE,
        HeadersRecord::decode,
        HeadersRecord::encode,
    );
}
