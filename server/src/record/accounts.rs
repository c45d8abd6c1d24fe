//! The accounts of what was not seen: counters of the probes, tallies of the assembly, turned into coverage by interval.

use std::os::unix::ffi::OsStrExt;

use headwater_assembly::Tally;
use headwater_model::{Coverage, CoverageKind, Event, KernelDrops};
use headwater_redact::{Part, Redactor, Text};
use headwater_schema::{flow::counter, session::SESSIONS};

use super::{
    icmp::Missed,
    identity::Forgotten,
    libraries::{News, NotRead},
};
use crate::{
    clock::ClockChange,
    probes::{Counters, DropReasons},
};

/// The accounts since the recorder started.
pub(crate) struct Accounts {
    redactor: Redactor,
    before: Counters,
    misses_before: u64,
    since_ns: u64,
    /// Records that were read.
    pub(crate) delivered: u64,
    /// Records that were not understood.
    pub(crate) unknown: u64,
    /// What of ICMP was not told since the last call.
    icmp: Missed,
    /// Programs whose TLS is not read and that were not told one by one.
    untold: u64,
    /// Mappings and ends of processes that were not heard of.
    unheard: u64,
    /// Sessions that the probes' full map has pushed out.
    pushed_out: u64,
    filter: Option<Text>,
    /// Packets that the kernel had dropped when last told, by the place of their reason.
    dropped_before: Vec<u64>,
}

impl Accounts {
    pub(crate) fn new(mut redactor: Redactor, now_ns: u64, filter: Option<&str>) -> Self {
        let filter = filter.map(|words| redactor.phrase(words.as_bytes()));
        Self {
            redactor,
            before: Counters::default(),
            misses_before: 0,
            since_ns: now_ns,
            delivered: 0,
            unknown: 0,
            icmp: Missed::default(),
            untold: 0,
            unheard: 0,
            pushed_out: 0,
            filter,
            dropped_before: Vec::new(),
        }
    }

    /// What the kernel has dropped since the last call; `None` when that is nothing.
    pub(crate) fn drops(
        &mut self,
        now_ns: u64,
        dropped: Vec<u64>,
        reasons: &DropReasons,
    ) -> Option<Event> {
        let before = std::mem::replace(&mut self.dropped_before, dropped);
        let before = before.into_iter().chain(std::iter::repeat(0));
        let by_reason: Vec<_> = (0..)
            .zip(self.dropped_before.iter().zip(before))
            .filter(|(_, (now, before))| **now > *before)
            .map(|(reason, (now, before))| (reasons.name(reason).into(), now - before))
            .collect();
        (!by_reason.is_empty()).then_some(Event::KernelDrops(KernelDrops {
            until_ns: now_ns,
            by_reason,
        }))
    }

    /// A line for something that cannot be seen at all.
    pub(crate) fn unsupported(&mut self, now_ns: u64, words: &str) -> Event {
        let detail = Some(self.redactor.phrase(words.as_bytes()));
        Event::Coverage(Coverage {
            kind: CoverageKind::Unsupported,
            from_ns: now_ns,
            until_ns: now_ns,
            count: 1,
            detail,
        })
    }

    /// A line for a program whose TLS is not read.
    pub(crate) fn not_read(&mut self, now_ns: u64, one: &NotRead) -> Event {
        let pid = one
            .pid
            .map_or_else(String::new, |pid| format!(" (pid {pid}): "));
        let path = one.path.as_os_str().as_bytes();
        let (before, build_id) = match &one.build_id {
            Some(build_id) => (", build id ", build_id.as_str()),
            None => (", without a build id", ""),
        };
        // The path is last but the reason: it may be long, and what is said is cut.
        let detail = self.redactor.sentence(&[
            Part::Phrase(one.program.as_bytes()),
            Part::Phrase(pid.as_bytes()),
            Part::Phrase(one.library.as_bytes()),
            Part::Own(before),
            Part::Digits(build_id),
            Part::Own(", in "),
            Part::Path(path),
            Part::Own(": "),
            Part::Phrase(one.why.as_bytes()),
        ]);
        of_libraries(now_ns, detail)
    }

    /// A line for TLS that may not be read from here on.
    pub(crate) fn tls_from_here_on(&mut self, now_ns: u64, words: &str) -> Event {
        of_libraries(now_ns, self.redactor.phrase(words.as_bytes()))
    }

    /// What libraries had to say: lines of their own, or counts for the next closing.
    pub(crate) fn libraries(
        &mut self,
        now_ns: u64,
        news: impl Iterator<Item = News>,
    ) -> Vec<Event> {
        let mut lines = Vec::new();
        for one in news {
            match one {
                News::NotRead(one) => lines.push(self.not_read(now_ns, &one)),
                News::Untold => self.untold += 1,
                News::Unheard(count) => self.unheard += count,
                News::Unlooked => {
                    let words = "of what runs already, since /proc could not be read";
                    lines.push(self.tls_from_here_on(now_ns, words));
                }
            }
        }
        lines
    }

    /// What of ICMP was not told, for the next closing.
    pub(crate) fn icmp(&mut self, missed: Missed) {
        self.icmp = missed;
    }

    /// What of ICMP was not told, by reason.
    fn of_icmp(
        &mut self,
        tally: &Tally,
        missed: &Missed,
    ) -> Vec<(CoverageKind, u64, Option<Text>)> {
        let counts = [
            (
                tally.icmp_unknown,
                "the connection or UDP flow that they quote is not known",
            ),
            (
                tally.icmp_not_believed,
                "they quote a sequence number that was not sent, or a message of DNS that waits for no answer",
            ),
            (missed.dropped, "they came faster than they were read"),
        ];
        let untied = counts.into_iter().filter(|(count, _)| *count > 0);
        let untied = untied.map(|(count, why)| (CoverageKind::IcmpNotTied, count, why));
        let unheard = missed.unsupported.iter();
        let unheard = unheard.map(|words| (CoverageKind::Unsupported, 1, words.as_str()));
        untied
            .chain(unheard)
            .map(|(kind, count, words)| (kind, count, Some(self.redactor.phrase(words.as_bytes()))))
            .collect()
    }

    /// How many sessions the probes' full map has pushed out at least, since last asked.
    fn sessions_pushed_out(&mut self, counters: &Counters) -> u64 {
        let removed = counters.of(counter::SESSIONS_REMOVED);
        let there = counters.of(counter::SESSIONS_MADE).saturating_sub(removed);
        let all = there.saturating_sub(SESSIONS.into());
        let before = self.pushed_out;
        self.pushed_out = before.max(all);
        self.pushed_out - before
    }

    /// What full tables forgot, by table.
    fn of_tables(
        &mut self,
        tally: &Tally,
        icmp: &Missed,
        forgotten: &Forgotten,
        sessions: u64,
    ) -> [(u64, &'static str); 11] {
        [
            (tally.flows_forgotten, "sockets that had said nothing"),
            (tally.knocks_forgotten, "SYNs from elsewhere"),
            (tally.departures_forgotten, "packets between namespaces"),
            (tally.udp_owners_forgotten, "owners of UDP sockets"),
            (tally.dns_memory_forgotten, "who asked whom for which name"),
            (icmp.namespaces, "network namespaces listened in for ICMP"),
            (forgotten.programs, "programs begun"),
            (forgotten.processes, "processes"),
            (sessions, "sessions of TLS libraries"),
            (
                std::mem::take(&mut self.untold),
                "programs whose TLS is not read",
            ),
            (
                std::mem::take(&mut self.unheard),
                "files mapped, and processes begun and ended",
            ),
        ]
    }

    /// What happened since the last call.
    pub(crate) fn close(
        &mut self,
        now_ns: u64,
        counters: Counters,
        misses: u64,
        tally: &Tally,
        forgotten: Forgotten,
        clock: &[ClockChange],
    ) -> Vec<Event> {
        let mut lines = Vec::new();
        // The clock may have been set back in between.
        let (from_ns, until_ns) = (now_ns.min(self.since_ns), now_ns.max(self.since_ns));
        let mut line = |kind, count: u64, detail: Option<Text>| {
            if count > 0 {
                lines.push(Event::Coverage(Coverage {
                    kind,
                    from_ns,
                    until_ns,
                    count,
                    detail,
                }));
            }
        };
        let icmp = std::mem::take(&mut self.icmp);
        let of_icmp = self.of_icmp(tally, &icmp);
        let sessions = tally.sessions_forgotten + self.sessions_pushed_out(&counters);
        let of_tables = self.of_tables(tally, &icmp, &forgotten, sessions);
        let since = |which| counters.of(which).saturating_sub(self.before.of(which));
        line(CoverageKind::RingLost, since(counter::LOST), None);
        line(CoverageKind::FlowTableFull, since(counter::FLOW_FULL), None);
        line(
            CoverageKind::PacketsUnparsed,
            since(counter::UNPARSED),
            None,
        );
        line(
            CoverageKind::FramesLost,
            since(counter::FRAMES_ADRIFT),
            None,
        );
        let left_out = misses.saturating_sub(self.misses_before);
        line(CoverageKind::ProbeRecursion, left_out, None);
        line(CoverageKind::ConnectionEvicted, tally.evicted, None);
        line(CoverageKind::HeldBytesCapped, tally.held_evicted, None);
        line(
            CoverageKind::HeaderTableCapped,
            tally.table_entries_forgotten,
            None,
        );
        for (count, table) in of_tables {
            let detail = (count > 0).then(|| self.redactor.phrase(table.as_bytes()));
            line(CoverageKind::TableCapped, count, detail);
        }
        let unfollowed = tally.unfollowed + tally.plaintext_unfollowed;
        line(CoverageKind::ConnectionUnfollowed, unfollowed, None);
        line(
            CoverageKind::DropsUntold,
            since(counter::DROPS_UNTOLD),
            None,
        );
        line(CoverageKind::HeadCapped, tally.heads_cut, None);
        line(CoverageKind::ExpansionCapped, tally.expansion_capped, None);
        line(
            CoverageKind::Malformed,
            tally.malformed + self.unknown + icmp.malformed,
            None,
        );
        line(CoverageKind::JoinedMidstream, tally.midstream, None);
        line(CoverageKind::TlsNotDecoded, tally.tls, None);
        line(CoverageKind::TlsUnbound, tally.sessions_unbound, None);
        line(
            CoverageKind::PlaintextUnread,
            since(counter::PLAINTEXT_UNREAD),
            None,
        );
        line(CoverageKind::HeaderBlockLost, tally.blocks_lost, None);
        line(CoverageKind::OtherProtocol, tally.other, None);
        line(CoverageKind::DnsNotRead, tally.dns_not_read, None);
        for (kind, count, detail) in of_icmp {
            line(kind, count, detail);
        }
        line(CoverageKind::QuicNotDecoded, tally.quic, None);
        line(
            CoverageKind::UdpFlowEvicted,
            tally.udp_evicted + since(counter::UDP_FLOW_FULL),
            None,
        );
        line(CoverageKind::OwnTraffic, tally.own, None);
        line(CoverageKind::Filtered, tally.filtered, self.filter.clone());
        for change in clock {
            match change {
                ClockChange::Step(by_ns) => line(
                    CoverageKind::ClockStep,
                    by_ns.unsigned_abs() / 1_000_000,
                    None,
                ),
                ClockChange::Slept(for_ns) => {
                    line(CoverageKind::Suspended, for_ns / 1_000_000, None);
                }
            }
        }
        self.unknown = 0;
        self.before = counters;
        self.misses_before = misses;
        self.since_ns = now_ns;
        lines
    }
}

fn of_libraries(now_ns: u64, detail: Text) -> Event {
    Event::Coverage(Coverage {
        kind: CoverageKind::TlsLibraryNotRead,
        from_ns: now_ns,
        until_ns: now_ns,
        count: 1,
        detail: Some(detail),
    })
}

#[cfg(test)]
mod tests {
    use headwater_redact::{Key, Policy};

    use super::*;

    #[test]
    fn what_the_probes_count_is_told_by_interval() {
        let redactor = Redactor::new(&Key::from_bytes([3; 32]), &Policy::default());
        let mut accounts = Accounts::new(redactor, 0, None);
        let mut told = |now_ns, numbers| {
            let lines = accounts.close(
                now_ns,
                Counters(numbers),
                0,
                &Tally::default(),
                Forgotten::default(),
                &[],
            );
            let told = lines.into_iter().filter_map(|line| match line {
                Event::Coverage(line) => Some((line.kind, line.from_ns, line.until_ns, line.count)),
                _ => None,
            });
            told.collect::<Vec<_>>()
        };
        assert_eq!(
            told(10, [9, 1, 9, 9, 2, 3, 4, 9, 0, 7, 0, 0, 0, 0]),
            [
                (CoverageKind::RingLost, 0, 10, 1),
                (CoverageKind::FlowTableFull, 0, 10, 3),
                (CoverageKind::PacketsUnparsed, 0, 10, 2),
                (CoverageKind::FramesLost, 0, 10, 4),
                (CoverageKind::DropsUntold, 0, 10, 7),
            ]
        );
        assert_eq!(
            told(20, [9, 1, 9, 9, 2, 8, 4, 9, 0, 7, 0, 0, 0, 0]),
            [(CoverageKind::FlowTableFull, 10, 20, 5)]
        );
        assert_eq!(told(30, [9, 1, 9, 9, 2, 8, 4, 9, 0, 7, 0, 0, 0, 0]), []);
        // Sessions are made anew, some of them where others were taken out; then fewer are left, and more again.
        for (made, removed, pushed_out) in [
            (16_384, 0, 0),
            (17_000, 10, 606),
            (17_000, 900, 0),
            (17_400, 950, 0),
        ] {
            let lines = told(40, [9, 1, 9, 9, 2, 8, 4, 9, 0, 7, 0, made, 0, removed]);
            let counts: Vec<u64> = lines.iter().map(|line| line.3).collect();
            assert_eq!(counts.iter().sum::<u64>(), pushed_out, "{lines:?}");
        }
    }
}
