//! What is counted of one sender's segments in a capture file: what was sent again, came out of order, offered no window.
//!
//! Owns: the telling apart of a segment sent again from one that changed places with another. What fills a hole was never
//! seen before, so that only time tells: within a round trip it was under way, later it was sent again (the rule of
//! Wireshark's analysis). Bounded: of holes beyond a few, the oldest are taken for filled.

use headwater_model::SegmentCounts;

use super::packet::Segment;

/// Holes remembered.
const MOST_HOLES: usize = 64;
/// The round trip when none was measured.
const ROUND_TRIP_NS: u64 = 3_000_000;
/// From so many repeated acknowledgements on, what they ask for was sent again (RFC 5681, section 3.2).
const REPEATED: u32 = 2;

/// What is known of the segments of one sender.
#[derive(Debug, Default)]
pub(super) struct Counter {
    packets: u64,
    retransmits: u64,
    out_of_order: u64,
    duplicates: u64,
    zero_windows: u64,
    keep_alives: u64,
    window_probes: u64,
    marked: u64,
    /// Stretches before the highest position that were not seen.
    holes: Vec<(u64, u64)>,
    /// Position behind all that was seen, a FIN included, and when it was reached.
    highest: u64,
    highest_ns: u64,
    /// The peer's last segment offered no window.
    is_shut: bool,
    /// What its peer has acknowledged, and how often that was repeated.
    acknowledged: Option<u64>,
    repeated: u32,
    /// SYN to SYN-ACK.
    pub(super) round_trip_ns: Option<u64>,
}

impl Counter {
    /// Counts a segment whose first byte has this position; `None` when it lies before all that was seen.
    pub(super) fn take(&mut self, at_ns: u64, segment: &Segment<'_>, offset: Option<u64>) {
        self.packets += 1;
        let flags = segment.flags;
        if flags.syn || flags.rst {
            // A SYN that is sent again is counted as one; what it carries (RFC 7413) goes on behind it.
            let carried = u64::from(flags.syn) * u64::from(segment.payload_length);
            if carried > self.highest {
                (self.highest, self.highest_ns) = (carried, at_ns);
            }
            return;
        }
        self.marked += u64::from(segment.ip.traffic_class & 3 == 3);
        self.zero_windows += u64::from(segment.window == 0 && !flags.fin);
        let length = u64::from(segment.payload_length) + u64::from(flags.fin);
        let Some(offset) = offset else {
            self.retransmits += u64::from(length > 0);
            return;
        };
        if segment.payload_length <= 1 && !flags.fin && offset + 1 == self.highest {
            if self.is_shut {
                self.window_probes += 1;
            } else {
                self.keep_alives += 1;
            }
        } else if length > 0 {
            self.stretch(at_ns, offset, offset + length);
        } else {
            // An acknowledgement with nothing of its own shows by its number what its sender has sent before.
            self.leave_hole(at_ns, offset);
        }
    }

    /// What stands between all that was seen and `offset` was not, if anything does.
    fn leave_hole(&mut self, at_ns: u64, offset: u64) {
        if offset > self.highest {
            self.holes.push((self.highest, offset));
            if self.holes.len() > MOST_HOLES {
                self.holes.remove(0);
            }
            (self.highest, self.highest_ns) = (offset, at_ns);
        }
    }

    fn stretch(&mut self, at_ns: u64, offset: u64, end: u64) {
        if offset >= self.highest {
            self.leave_hole(at_ns, offset);
            (self.highest, self.highest_ns) = (end, at_ns);
            return;
        }
        let is_asked_for = self.repeated >= REPEATED && self.acknowledged == Some(offset);
        let round_trip_ns = self.round_trip_ns.unwrap_or(0).max(ROUND_TRIP_NS);
        if !self.fill(offset, end) {
            self.retransmits += 1;
            self.duplicates += u64::from(self.acknowledged.is_some_and(|until| end <= until));
        } else if is_asked_for || at_ns.saturating_sub(self.highest_ns) >= round_trip_ns {
            self.retransmits += 1;
        } else {
            self.out_of_order += 1;
        }
        if end > self.highest {
            (self.highest, self.highest_ns) = (end, at_ns);
        }
    }

    /// Fills holes. Says whether there were any.
    fn fill(&mut self, offset: u64, end: u64) -> bool {
        let mut any = false;
        let mut left = Vec::new();
        self.holes.retain(|(from, to)| {
            let is_touched = *from < end && offset < *to;
            if is_touched {
                any = true;
                left.extend(
                    [(*from, offset), (end, *to)]
                        .into_iter()
                        .filter(|(a, b)| a < b),
                );
            }
            !is_touched
        });
        self.holes.extend(left);
        any
    }

    /// The peer acknowledges what stands before `position`, in this segment of its own.
    pub(super) fn acknowledged(&mut self, position: u64, segment: &Segment<'_>) {
        let is_bare = segment.payload_length == 0 && !segment.flags.fin;
        self.is_shut = segment.window == 0;
        if self.acknowledged == Some(position) {
            self.repeated += u32::from(is_bare);
        } else if self.acknowledged.is_none_or(|before| before < position) {
            (self.acknowledged, self.repeated) = (Some(position), 0);
        }
    }

    /// The sums.
    pub(super) fn counts(&self) -> SegmentCounts {
        SegmentCounts {
            packets: Some(self.packets),
            retransmits: Some(self.retransmits),
            out_of_order: Some(self.out_of_order),
            duplicates: Some(self.duplicates),
            zero_windows: Some(self.zero_windows),
            keep_alives: Some(self.keep_alives),
            window_probes: Some(self.window_probes),
            congestion_experienced: Some(self.marked),
            resets: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater_assembly::TcpFlags;
    use headwater_model::IpHeader;

    use super::*;

    fn segment(payload_length: u32) -> Segment<'static> {
        Segment {
            source: "10.0.0.1:1".parse().unwrap(),
            destination: "10.0.0.2:2".parse().unwrap(),
            flags: TcpFlags::default(),
            seq: 0,
            ack: 0,
            window: 1,
            ip: IpHeader::default(),
            handshake: None,
            payload_length,
            payload: &[],
        }
    }

    /// Counts payload of `length` bytes for each (milliseconds, position), and gives retransmissions, out of order, duplicates.
    fn counted(counter: &mut Counter, segments: &[(u64, u64, u32)]) -> [Option<u64>; 3] {
        for (at_ms, offset, payload_length) in segments {
            let segment = segment(*payload_length);
            counter.take(at_ms * 1_000_000, &segment, Some(*offset));
        }
        let counts = counter.counts();
        [counts.retransmits, counts.out_of_order, counts.duplicates]
    }

    #[test]
    fn what_was_seen_before_was_sent_again() {
        let segments = [(0, 0, 100), (1, 100, 100), (2, 100, 100), (3, 50, 200)];
        assert_eq!(
            counted(&mut Counter::default(), &segments),
            [Some(2), Some(0), Some(0)]
        );
    }

    #[test]
    fn what_fills_a_hole_came_late_or_again() {
        let segments = [(0, 0, 100), (10, 200, 100), (11, 100, 50), (20, 150, 50)];
        assert_eq!(
            counted(&mut Counter::default(), &segments),
            [Some(1), Some(1), Some(0)]
        );
    }

    #[test]
    fn an_acknowledgement_shows_a_hole() {
        let segments = [
            (0, 0, 100),
            (10, 150, 0),
            (11, 100, 20),
            (20, 120, 30),
            (21, 150, 10),
        ];
        assert_eq!(
            counted(&mut Counter::default(), &segments),
            [Some(1), Some(1), Some(0)]
        );
    }

    #[test]
    fn what_a_syn_carries_goes_on_behind_it() {
        let mut counter = Counter::default();
        let syn = |payload_length| Segment {
            flags: TcpFlags {
                syn: true,
                ..TcpFlags::default()
            },
            ..segment(payload_length)
        };
        counter.take(0, &syn(100), Some(0));
        counter.take(1_000_000, &syn(100), Some(0));
        // The server did not take it: it comes again.
        let segments = [(10, 0, 100), (11, 100, 50)];
        assert_eq!(
            counted(&mut counter, &segments),
            [Some(1), Some(0), Some(0)]
        );
    }

    #[test]
    fn what_is_asked_for_was_sent_again() {
        let mut counter = Counter::default();
        counter.acknowledged(100, &segment(1));
        counter.acknowledged(100, &segment(0));
        counter.acknowledged(100, &segment(0));
        let segments = [(0, 0, 100), (10, 200, 100), (11, 100, 100), (12, 0, 100)];
        assert_eq!(
            counted(&mut counter, &segments),
            [Some(2), Some(0), Some(1)]
        );
    }

    #[test]
    fn a_byte_before_the_next_is_a_keep_alive() {
        let mut counter = Counter::default();
        counted(&mut counter, &[(0, 0, 100), (9, 99, 1), (18, 99, 0)]);
        assert_eq!(counter.counts().keep_alives, Some(2));
        assert_eq!(counter.counts().window_probes, Some(0));
    }

    #[test]
    fn where_the_window_is_closed_it_is_a_probe_of_that() {
        let mut counter = Counter::default();
        counted(&mut counter, &[(0, 0, 100)]);
        let shut = Segment {
            window: 0,
            ..segment(0)
        };
        counter.acknowledged(100, &shut);
        counted(&mut counter, &[(9, 99, 0)]);
        counter.acknowledged(100, &segment(0));
        counted(&mut counter, &[(18, 99, 0)]);
        let counts = counter.counts();
        assert_eq!(
            (counts.keep_alives, counts.window_probes),
            (Some(1), Some(1))
        );
    }
}
