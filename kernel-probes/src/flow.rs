//! The map of flows: what is known of each socket between its packets.

use aya_ebpf::{macros::map, maps::LruHashMap};
use headwater_schema::{
    flow::{DirectionState, FlowState, counter},
    record::direction,
};

use crate::counters::count;

/// Sockets remembered at once; the least recently used make room.
const ENTRIES: u32 = 65_536;

#[map]
static FLOWS: LruHashMap<u64, FlowState> = LruHashMap::with_max_entries(ENTRIES, 0);

/// What a flow begins with. In memory of its own: to clear as much on the stack is a call. By a name of its own: a mangled one
/// would hold a hash of the checkout's path, and the object would differ from place to place.
#[unsafe(no_mangle)]
pub static NEW_FLOW: FlowState = FlowState::NEW;

/// The state of a socket, if there is one.
#[inline(always)]
pub fn find(cookie: u64) -> Option<&'static mut FlowState> {
    let state = FLOWS.get_ptr_mut(&cookie)?;
    // SAFETY: the map gave a pointer to an initialised value that lives while the program runs. Egress of one socket is
    // serialised by its lock and writes direction 0 only; ingress writes direction 1 only.
    Some(unsafe { &mut *state })
}

/// The state of a socket, made when there is none.
#[inline(always)]
pub fn find_or_make(cookie: u64) -> Option<&'static mut FlowState> {
    if let Some(state) = find(cookie) {
        return Some(state);
    }
    if FLOWS.insert(&cookie, &NEW_FLOW, 0).is_err() {
        count(counter::FLOW_FULL);
    }
    find(cookie)
}

/// What is known of one direction.
#[inline(always)]
pub fn side(state: &mut FlowState, way: u8) -> &mut DirectionState {
    if way == direction::INGRESS {
        &mut state.directions[1]
    } else {
        &mut state.directions[0]
    }
}

/// Forgets a socket.
#[inline(always)]
pub fn forget(cookie: u64) {
    // Absent is as good as removed.
    let _ = FLOWS.remove(&cookie);
}
