//! The map of forks, read when a process is met.

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
use headwater_schema::flow::ForkState;

#[repr(transparent)]
#[derive(Clone, Copy)]
struct Fork(ForkState);

#[expect(
    unsafe_code,
    reason = "aya's marker for types that may be filled from bytes"
)]
// SAFETY: ForkState is repr(C), holds integers only and has no padding (its size assertion), so any bytes are a value.
unsafe impl aya::Pod for Fork {}

/// What the probes know of forks; nothing where this kernel does not tell of them.
#[derive(Default)]
pub(crate) struct Forks(Option<HashMap<MapData, u32, Fork>>);

impl Forks {
    pub(super) fn take(programs: &mut Ebpf) -> Self {
        let map = programs.take_map("FORKS");
        Self(map.and_then(|map| HashMap::try_from(map).ok()))
    }

    /// The fork that made the process which has this number, or had it last.
    pub(crate) fn of(&self, pid: u32) -> Option<ForkState> {
        self.0.as_ref()?.get(&pid, 0).ok().map(|fork| fork.0)
    }
}
