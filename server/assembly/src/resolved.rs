//! What DNS answers said lately, for connections to the addresses in them.
//!
//! Owns: a bounded memory, the oldest answers first to go. An answer is remembered for the process that asked and for its
//! network namespace (others ask on behalf of a process: a cache, a resolver); in capture files for the address that asked.
//! Refuses: to guess. A connection is told by what was answered before it began, and how long before.

use std::{collections::VecDeque, net::IpAddr};

use headwater_model::{AskedBy, DnsExchange, DnsKey, DnsOutcome, ProcessKey, Resolution};
use headwater_redact::Text;

use crate::table::FastMap;

/// Addresses remembered.
const MOST: usize = 16_384;

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    Process(ProcessKey),
    Namespace(u32),
    Host(IpAddr),
}

impl Asker {
    /// On whose behalf an end may have asked, the better evidence first: its process, else somebody in its namespace; in a
    /// capture file its address is all that is known.
    pub(crate) fn all(
        is_live: bool,
        address: IpAddr,
        process: Option<ProcessKey>,
        netns: u32,
    ) -> [Option<Self>; 2] {
        if !is_live {
            return [Some(Self::Host(address)), None];
        }
        let namespace = (netns != 0).then_some(Self::Namespace(netns));
        [process.map(Self::Process), namespace]
    }
}

struct Answered {
    exchange: DnsKey,
    name: Text,
    at_ns: u64,
}

/// The memory.
#[derive(Default)]
pub(crate) struct Resolved {
    /// By who asked and what was answered: the newest, and the one before it, since a connection may be older than the
    /// newest.
    answers: FastMap<(Asker, IpAddr), [Option<Answered>; 2]>,
    order: VecDeque<(Asker, IpAddr)>,
}

impl Resolved {
    /// Remembers the addresses of an answer, and says how many older ones had to go.
    pub(crate) fn learn(&mut self, exchange: &DnsExchange, is_live: bool) -> u64 {
        let (Some(answer), Some(question)) = (&exchange.answer, &exchange.question) else {
            return 0;
        };
        if !matches!(
            exchange.outcome,
            DnsOutcome::Answered | DnsOutcome::AnsweredLate
        ) {
            return 0;
        }
        let client = &exchange.client;
        let askers = Asker::all(is_live, client.address, client.process, client.netns);
        let mut forgotten = 0;
        for asker in askers.into_iter().flatten() {
            for address in &answer.addresses {
                let answered = Answered {
                    exchange: exchange.key,
                    name: question.name.clone(),
                    at_ns: answer.at_ns,
                };
                forgotten += u64::from(self.insert((asker, *address), answered));
            }
        }
        forgotten
    }

    /// Says whether another had to make room.
    fn insert(&mut self, key: (Asker, IpAddr), answered: Answered) -> bool {
        if let Some([newest, before]) = self.answers.get_mut(&key) {
            *before = newest.replace(answered);
            return false;
        }
        let oldest = (self.order.len() >= MOST)
            .then(|| self.order.pop_front())
            .flatten();
        if let Some(oldest) = oldest {
            self.answers.remove(&oldest);
        }
        self.order.push_back(key);
        self.answers.insert(key, [Some(answered), None]);
        oldest.is_some()
    }

    /// What was answered last, before `at_ns`, to the first of `askers` that was told `address`.
    pub(crate) fn find(
        &self,
        askers: [Option<Asker>; 2],
        address: IpAddr,
        at_ns: u64,
    ) -> Option<Resolution> {
        if self.answers.is_empty() {
            return None;
        }
        askers.into_iter().flatten().find_map(|asker| {
            let answers = self.answers.get(&(asker, address))?;
            let mut answers = answers.iter().flatten();
            let answered = answers.find(|answered| answered.at_ns <= at_ns)?;
            Some(Resolution {
                exchange: answered.exchange,
                name: answered.name.clone(),
                before_ns: at_ns - answered.at_ns,
                asked_by: match asker {
                    Asker::Process(_) => AskedBy::Process,
                    Asker::Namespace(_) => AskedBy::Namespace,
                    Asker::Host(_) => AskedBy::Address,
                },
            })
        })
    }
}
