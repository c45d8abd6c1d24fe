//! What DNS answers said lately, for connections to the addresses in them.
//!
//! Owns: a bounded memory, the oldest answers first to go. An answer is remembered for the process that asked and for its
//! network namespace (others ask on behalf of a process: a cache, a resolver); in capture files for the address that asked.
//! Refuses: to guess. A connection is told by what was answered before it began, and how long before.

use std::{collections::VecDeque, net::IpAddr};

use headwater_model::{DnsExchange, DnsKey, DnsOutcome, Evidence, ProcessKey, Resolution};
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

struct Answered {
    exchange: DnsKey,
    name: Text,
    at_ns: u64,
    evidence: Evidence,
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
    /// Remembers the addresses of an answer.
    pub(crate) fn learn(&mut self, exchange: &DnsExchange, is_live: bool) {
        let (Some(answer), Some(question)) = (&exchange.answer, &exchange.question) else {
            return;
        };
        if !matches!(
            exchange.outcome,
            DnsOutcome::Answered | DnsOutcome::AnsweredLate
        ) {
            return;
        }
        let client = &exchange.client;
        let askers = if is_live {
            let namespace = (client.netns != 0).then_some(Asker::Namespace(client.netns));
            [client.process.map(Asker::Process), namespace]
        } else {
            [Some(Asker::Host(client.address)), None]
        };
        for asker in askers.into_iter().flatten() {
            let evidence = if matches!(asker, Asker::Process(_)) {
                client.process_evidence
            } else {
                Evidence::None
            };
            for address in &answer.addresses {
                let answered = Answered {
                    exchange: exchange.key,
                    name: question.name.clone(),
                    at_ns: answer.at_ns,
                    evidence,
                };
                self.insert((asker, *address), answered);
            }
        }
    }

    fn insert(&mut self, key: (Asker, IpAddr), answered: Answered) {
        if let Some([newest, before]) = self.answers.get_mut(&key) {
            *before = newest.replace(answered);
            return;
        }
        if self.order.len() >= MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
        self.order.push_back(key);
        self.answers.insert(key, [Some(answered), None]);
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
                evidence: answered.evidence,
            })
        })
    }
}
