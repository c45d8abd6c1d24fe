//! headwater
#![deny(unsafe_code)]
mod probes;
fn main() -> anyhow::Result<()> {
    let mut p = probes::Probes::attach(&probes::ProbeSettings { cap: 8192, ring_bytes: 8 << 20, without_btf: false })?;
    eprintln!("attached {:?}", p.missing);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(std::env::args().nth(1).map_or(5, |a| a.parse().unwrap()));
    let show = std::env::args().nth(2).is_some();
    let mut n = 0u64;
    while std::time::Instant::now() < end {
        n += p.drain(usize::MAX, |r| {
            if show {
            use headwater_schema::record::*;
            let h = Header::decode(r).unwrap();
            match h.kind {
                kind::TURN => { let t = TurnRecord::decode(r).unwrap(); let d=&r[TurnRecord::SIZE..][..t.captured.min(40) as usize]; eprintln!("{t:?} {:?}", String::from_utf8_lossy(d)) }
                kind::OWNER => eprintln!("{:?}", OwnerRecord::decode(r)),
                kind::EXEC => { let e = ExecRecord::decode(r).unwrap(); eprintln!("{e:?} {:?} {:?}", String::from_utf8_lossy(&r[ExecRecord::SIZE..][..e.path_length as usize]), String::from_utf8_lossy(&r[ExecRecord::SIZE+EXEC_PATH..][..e.arguments_length as usize])) }
                kind::SOCKET => eprintln!("{:?}", SocketRecord::decode(r)),
                _ => eprintln!("{:?}", EndRecord::decode(r)),
            }
            }
        }) as u64;
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    eprintln!("{n} {:?}", p.counters());
    Ok(())
}
