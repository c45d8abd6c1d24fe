//! DNS exchanges: which message belongs to which flow, what is told of an exchange that ended, and the names that connections
//! were found by.

use headwater_model::{
    ConnectionEnd, ConnectionKey, DnsExchange, DnsOutcome, Event, IcmpError, Transport,
};
use headwater_protocols::dns::{self as wire, Verdict};

use super::{Assembly, Conversation, datagram::Datagrams};
use crate::{Datagram, Identities, QuotedDatagram, dns, resolved::Asker};

/// Clients whose last question is remembered, for answers that come from elsewhere.
const MAX_ASKED: usize = 4_096;
/// Servers of DNS on other ports that are remembered.
const MAX_SERVERS: usize = 1_024;

/// The pairing's key: the flow, and which of its parties asks.
fn pairing_key(flow: u64, client: usize) -> u64 {
    flow << 1 | u64::from(client == 1)
}

impl<I: Identities> Assembly<I> {
    /// Takes what may be a message of DNS.
    pub(super) fn dns_message(&mut self, key: u64, sender: usize, datagram: &Datagram<'_>) {
        let Some([_, _, flags, ..]) = datagram.bytes.first_chunk::<4>() else {
            return;
        };
        let is_response = flags & 0x80 != 0;
        let Datagrams { flows, asked, .. } = &mut self.datagrams;
        let Some(flow) = flows.get_mut(key) else {
            return;
        };
        let client = if is_response { 1 - sender } else { sender };
        let Some(client_end) = flow.parties.get(client) else {
            return;
        };
        let client_at = (datagram.netns, client_end.address);
        let mut asked_in = key;
        if !is_response {
            if asked.len() >= MAX_ASKED {
                self.tally.dns_memory_forgotten += asked.len() as u64;
                asked.clear();
            }
            asked.insert(client_at, key);
        } else if flow.waiting == 0
            && let Some(other) = asked.get(&client_at).copied()
            && other != key
        {
            // Address translation has made the answer come from elsewhere than the question went to.
            let identity = flow
                .parties
                .get(sender)
                .and_then(|party| party.identity.clone());
            if let Some(flow) = flows.get_mut(other)
                && flow.waiting > 0
            {
                asked_in = other;
                let server = 1 - flow.party_at(client_at.1);
                if let Some(server) = flow.parties.get_mut(server) {
                    server.identity = server.identity.take().or(identity);
                }
            }
        }
        let client = flows
            .get(asked_in)
            .map_or(client, |flow| flow.party_at(client_at.1));
        let way = if is_response {
            wire::Way::ToClient
        } else {
            wire::Way::ToServer
        };
        let mut ended = std::mem::take(&mut self.datagrams.ended);
        let Datagrams { flows, pairing, .. } = &mut self.datagrams;
        let length = usize::try_from(datagram.payload_length).unwrap_or(usize::MAX);
        let verdict = pairing.message(
            pairing_key(asked_in, client),
            way,
            datagram.at_ns,
            wire::Transport::Udp,
            datagram.bytes,
            length,
            &mut |exchange| ended.push(exchange),
        );
        if verdict == Verdict::Query
            && let Some(flow) = flows.get_mut(asked_in)
        {
            flow.waiting = flow.waiting.saturating_add(1);
            flow.asked_id = datagram.bytes.first_chunk().copied();
        }
        for exchange in ended.drain(..) {
            self.dns_ended(exchange, None, datagram.at_ns);
        }
        self.datagrams.ended = ended;
    }

    /// Ends the exchange of a query that ICMP gave back: the one with the id that is quoted or, where the quote does not reach
    /// it, the only one that waits in the flow. False when there is none.
    pub(super) fn dns_undelivered(
        &mut self,
        (key, client): (u64, usize),
        quoted: &QuotedDatagram,
        error: IcmpError,
    ) -> bool {
        let Datagrams { flows, pairing, .. } = &mut self.datagrams;
        let only = flows.get(key).filter(|flow| flow.waiting == 1);
        let id = quoted
            .begins
            .or_else(|| only.and_then(|flow| flow.asked_id));
        let Some(id) = id else {
            return false;
        };
        let mut ended = None;
        pairing.undelivered(
            pairing_key(key, client),
            wire::Way::ToServer,
            u16::from_be_bytes(id),
            error.at_ns,
            &mut |exchange| ended = Some(exchange),
        );
        let Some(exchange) = ended else {
            return false;
        };
        self.dns_ended(exchange, Some(error), error.at_ns);
        true
    }

    /// An exchange over UDP ended, perhaps by what ICMP told.
    pub(super) fn dns_ended(
        &mut self,
        exchange: wire::Exchange<u64>,
        icmp: Option<IcmpError>,
        now_ns: u64,
    ) {
        let Datagrams { flows, servers, .. } = &mut self.datagrams;
        let (flow_key, client) = (exchange.flow >> 1, usize::from(exchange.flow & 1 == 1));
        let mut told = dns::told(exchange, now_ns, &mut self.heads.redactor);
        told.icmp = icmp.map(Box::new);
        let Some(flow) = flows.get_mut(flow_key) else {
            return;
        };
        let was_asked = !matches!(
            told.outcome,
            DnsOutcome::QueryNotSeen | DnsOutcome::AnsweredLate
        );
        if was_asked {
            flow.waiting = flow.waiting.saturating_sub(told.retries.saturating_add(1));
        }
        let (Some(asker), Some(server)) = (flow.parties.get(client), flow.parties.get(1 - client))
        else {
            return;
        };
        let answered = matches!(
            told.outcome,
            DnsOutcome::Answered | DnsOutcome::AnsweredLate
        );
        // On a port that says nothing, a message alone may be anything; one that was answered is DNS, and so is whatever
        // else that server is sent.
        let is_known = server.address.port() == dns::PORT || servers.contains(&server.address);
        if !(is_known || answered) {
            return;
        }
        if !is_known {
            if servers.len() >= MAX_SERVERS {
                self.tally.dns_memory_forgotten += servers.len() as u64;
                servers.clear();
            }
            servers.insert(server.address);
        }
        let redactor = &mut self.heads.redactor;
        let ends = (
            asker.end(server, false, None, redactor),
            server.end(asker, true, None, redactor),
        );
        flow.is_dns = true;
        if flow.own() {
            return;
        }
        self.give_dns(ends, None, told, now_ns);
    }

    /// Gives out a DNS exchange, and remembers what was answered.
    pub(super) fn give_dns(
        &mut self,
        (client, server): (ConnectionEnd, ConnectionEnd),
        connection: Option<ConnectionKey>,
        told: dns::Told,
        now_ns: u64,
    ) {
        if !self.limits.wants(server.port) {
            self.tally.filtered += 1;
            return;
        }
        let exchange = DnsExchange {
            key: self.datagrams.next_key(),
            client,
            server,
            transport: if connection.is_some() {
                Transport::Tcp
            } else {
                Transport::Udp
            },
            connection,
            id: told.id,
            question: told.question,
            start_ns: told.start_ns,
            retries: told.retries,
            query_bytes: told.query_bytes,
            end_ns: told.answer.as_ref().map_or(now_ns, |answer| answer.at_ns),
            answer: told.answer,
            outcome: told.outcome,
            icmp: told.icmp,
        };
        self.tally.dns_memory_forgotten += self.resolved.learn(&exchange, self.limits.live);
        self.tally.dns += 1;
        self.events.push(Event::Dns(Box::new(exchange)));
    }

    /// How many more messages could not be read since last asked.
    pub(super) fn news_of_dns_not_read(&mut self) -> u64 {
        let datagrams = &mut self.datagrams;
        let now = dns::not_read(&datagrams.pairing);
        now - std::mem::replace(&mut datagrams.not_read, now).min(now)
    }

    /// Gives out what a conversation in DNS has brought.
    pub(super) fn deliver_dns(&mut self, place: usize) {
        let ended = self
            .table
            .get_mut(place)
            .map(Conversation::take_dns)
            .unwrap_or_default();
        for (exchange, at_ns) in ended {
            if !self.announce(place, false) {
                return;
            }
            let asked = exchange.asked;
            let told = dns::told(exchange, at_ns, &mut self.heads.redactor);
            let Some(conversation) = self.table.get_mut(place) else {
                return;
            };
            let connection = conversation.connection(&mut self.heads.redactor);
            // Without a SYN whoever spoke first was taken for the client; who asked is.
            let ends = if asked == wire::Way::ToServer {
                (connection.client, connection.server)
            } else {
                (connection.server, connection.client)
            };
            self.give_dns(ends, Some(connection.key), told, at_ns);
        }
    }

    /// Looks for the name that a conversation's server was found by.
    pub(super) fn resolve(&mut self, place: usize) {
        let is_live = self.limits.live;
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        let client = conversation.client.unwrap_or(0);
        let Some(party) = conversation.parties.get(client) else {
            return;
        };
        if is_live && party.cookie.is_none() {
            return;
        }
        let process = party.identity.as_ref().map(|identity| identity.key);
        let askers = Asker::all(is_live, party.address.ip(), process, party.netns);
        let found = self
            .resolved
            .find(askers, party.peer.ip(), conversation.start_ns);
        if let Some(found) = found {
            conversation.resolution = Some(Box::new(found));
            conversation.changed = true;
        }
    }
}
