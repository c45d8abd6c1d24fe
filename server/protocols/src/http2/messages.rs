//! Heads and trailers: which message of which stream the fields of a block belong to.
//!
//! Owns: what a block is. With everything in sight, its place in the stream says so; where something may have been
//! missed, the fields do: a head begins with pseudo-header fields, trailers have none (RFC 9113, 8.1 and 8.3).

use super::blocks::{About, Head};
use super::fields::{RequestHead, ResponseHead, Room, Traits};
use super::repeats::Known;
use super::streams::Stream;
use super::{Connection, MalformedElement, Observer};
use crate::exchange::{Gaps, RequestPart, ResponsePart};
use crate::grpc::Messages;
use crate::passive::{Direction, Verdict};

/// A block for this observer.
type HeadFor<'a, O> = Head<'a, <O as Observer>::Request, <O as Observer>::Response>;

impl<O: Observer> Connection<O> {
    /// A block was read.
    pub(super) fn head(
        &mut self,
        direction: Direction,
        about: About,
        traits: Traits,
        head: HeadFor<'_, O>,
        observer: &mut O,
    ) {
        let told = match about.promised {
            // RFC 9113, 8.4: only servers promise.
            Some(_) => Some(Direction::ToClient),
            None => traits.direction,
        };
        if let Some(told) = told {
            self.verdict = Verdict::Yes;
            if !self.roles_known {
                self.settle_roles(told != self.meant(direction));
            }
        }
        if !self.roles_known {
            let facts = &mut self.lane(direction).facts;
            facts.blocks_lost = facts.blocks_lost.saturating_add(1);
            return;
        }
        match (self.meant(direction), about.promised) {
            (Direction::ToServer, None) if !about.stream.is_multiple_of(2) => {
                self.request(about.stream, about, traits, head, observer);
            }
            (Direction::ToClient, Some(promised)) if promised.is_multiple_of(2) && promised > 0 => {
                self.request(promised, about, traits, head, observer);
            }
            (Direction::ToClient, None) => self.response(about, traits, head, observer),
            // RFC 9113, 5.1.1: clients begin odd streams, servers promise even ones.
            (meant, _) => observer.malformed(meant, MalformedElement::FrameHeader),
        }
    }

    fn request(
        &mut self,
        stream_id: u32,
        about: About,
        traits: Traits,
        head: HeadFor<'_, O>,
        observer: &mut O,
    ) {
        if let Some(stream) = self.streams.get(stream_id)
            && let Some(request) = &mut stream.request
        {
            if stream.request_ended {
                return;
            }
            request.header_bytes = request.header_bytes.saturating_add(about.bytes);
            if let Head::New(fields, _) = head {
                observer.request_trailers(&mut request.value, fields);
            }
            stream.gaps.add(trailer_gaps(about, traits));
            if about.end_stream {
                self.end_message(Direction::ToServer, stream_id, about.at_ns, observer);
            }
            return;
        }
        let sender = match about.promised {
            Some(_) => Direction::ToClient,
            None => Direction::ToServer,
        };
        let may_lack = self.lane_of(sender).may_lack();
        if may_lack && traits.are_trailers {
            // Of a request that was not seen.
            return self.end_message(Direction::ToServer, stream_id, about.at_ns, observer);
        }
        if self.streams.get(stream_id).is_none() {
            if !self.streams.is_new(stream_id, may_lack) {
                return;
            }
            self.make_room(about.at_ns, observer);
            self.begin(stream_id);
        }
        self.streams.reach(stream_id);
        if !traits.has_method && !about.cut && !traits.has_unknown {
            observer.malformed(sender, MalformedElement::PseudoHeader);
        }
        let Some(value) = request(about, traits, head, observer) else {
            return;
        };
        let Some(stream) = self.streams.get(stream_id) else {
            return;
        };
        stream
            .gaps
            .add(head_gaps(about, traits, Gaps::REQUEST_HEAD_CUT));
        if traits.is_grpc == Some(true) {
            stream.facts.request_messages = Some(Messages::default());
            let response = &mut stream.facts.response_messages;
            if stream.response.is_none() && response.is_none() {
                *response = Some(Messages::default());
            }
        }
        stream.facts.is_pushed = about.promised.is_some();
        stream.request = Some(RequestPart {
            value,
            header_bytes: about.bytes,
            body_bytes: 0,
            first_byte_ns: about.began.at_ns,
            last_byte_ns: None,
            first_tag: about.began.tag,
        });
        if about.end_stream || about.promised.is_some() {
            self.end_message(Direction::ToServer, stream_id, about.at_ns, observer);
        }
        // The server has said so before it got here.
        self.refuse(stream_id, about.at_ns, observer);
    }

    fn response(&mut self, about: About, traits: Traits, head: HeadFor<'_, O>, observer: &mut O) {
        // Where the request was: those of pushed streams are promised by the server.
        let asker = if about.stream.is_multiple_of(2) {
            Direction::ToClient
        } else {
            Direction::ToServer
        };
        let missing = self.lane_of(asker).missing;
        let may_lack = missing != Gaps::default() || self.lane_of(Direction::ToClient).may_lack();
        if self.streams.get(about.stream).is_none() {
            if !self.streams.is_new(about.stream, may_lack) {
                return;
            }
            self.make_room(about.at_ns, observer);
            self.begin(about.stream);
            if let Some(stream) = self.streams.get(about.stream) {
                stream.gaps.add(missing);
            }
        }
        let Some(stream) = self.streams.get(about.stream) else {
            return;
        };
        stream.may_have_ended = false;
        if stream.takes_for_trailers(about, traits, may_lack) {
            stream.trailers(about, traits, &head, observer);
        } else if let Some(interim @ 100..=199) = traits.status
            && !about.end_stream
        {
            stream.response = None;
            return stream.interim.push(interim);
        } else {
            stream.respond(about, traits, head, observer);
        }
        if about.end_stream {
            self.end_message(Direction::ToClient, about.stream, about.at_ns, observer);
        }
    }
}

/// What the observer makes of a request's head, or made of it before. `None` for a response's.
fn request<O: Observer>(
    about: About,
    traits: Traits,
    head: HeadFor<'_, O>,
    observer: &mut O,
) -> Option<O::Request> {
    let (fields, keep) = match head {
        Head::New(fields, keep) => (fields, keep),
        Head::Known(Known::Request(value)) => {
            observer.request_repeats(&value);
            return Some(value);
        }
        Head::Known(Known::Response(_)) => return None,
    };
    let value = observer.request(&RequestHead::new(fields, about.cut));
    if let Some(keep) = keep
        && about.promised.is_none()
        && observer.request_may_repeat(&value, keep.in_clear)
        && let Some(repeats) = observer.repeats()
    {
        repeats.keep(keep, fields, Known::Request(value.clone()), traits);
    }
    Some(value)
}

/// As above of a response's.
fn response<O: Observer>(
    about: About,
    traits: Traits,
    head: HeadFor<'_, O>,
    observer: &mut O,
) -> Option<O::Response> {
    let (fields, keep) = match head {
        Head::New(fields, keep) => (fields, keep),
        Head::Known(Known::Response(value)) => return Some(value),
        Head::Known(Known::Request(_)) => return None,
    };
    let value = observer.response(&ResponseHead {
        status: traits.status,
        fields,
        cut: about.cut,
    });
    if let Some(keep) = keep
        && observer.response_may_repeat(&value, keep.in_clear)
        && let Some(repeats) = observer.repeats()
    {
        repeats.keep(keep, fields, Known::Response(value.clone()), traits);
    }
    Some(value)
}

impl<Q: Clone, S: Clone> Stream<Q, S> {
    /// Whether a block of the server's is trailers.
    fn takes_for_trailers(&self, about: About, traits: Traits, may_lack: bool) -> bool {
        let Some(response) = &self.response else {
            return may_lack && traits.are_trailers;
        };
        // What was taken for the final head may have been an interim one.
        let may_be_head = traits.has_status || !about.end_stream;
        !self.may_be_interim || response.body_bytes > 0 || traits.are_trailers || !may_be_head
    }

    /// The response's trailers; its head may not have been seen.
    fn trailers<O>(&mut self, about: About, traits: Traits, head: &HeadFor<'_, O>, observer: &mut O)
    where
        O: Observer<Request = Q, Response = S>,
    {
        if self.response.is_none() {
            self.gaps.add(Gaps::RESPONSE_HEAD_CUT);
        }
        let empty = Room::default();
        let response = self.response.get_or_insert_with(|| {
            let head = ResponseHead {
                status: None,
                fields: empty.fields(),
                cut: true,
            };
            part(About { bytes: 0, ..about }, observer.response(&head))
        });
        response.header_bytes = response.header_bytes.saturating_add(about.bytes);
        if let Head::New(fields, _) = head {
            observer.response_trailers(&mut response.value, *fields);
        }
        self.gaps.add(trailer_gaps(about, traits));
    }

    /// The head of the final response.
    fn respond<O>(&mut self, about: About, traits: Traits, head: HeadFor<'_, O>, observer: &mut O)
    where
        O: Observer<Request = Q, Response = S>,
    {
        if traits.status.is_none() && !about.cut && !traits.has_unknown {
            observer.malformed(Direction::ToClient, MalformedElement::PseudoHeader);
        }
        let Some(value) = response(about, traits, head, observer) else {
            return;
        };
        self.gaps
            .add(head_gaps(about, traits, Gaps::RESPONSE_HEAD_CUT));
        self.may_be_interim = traits.status.is_none();
        match traits.is_grpc {
            Some(true) if self.facts.response_messages.is_none() => {
                self.facts.response_messages = Some(Messages::default());
            }
            // Such as a proxy's page about an error.
            Some(false) => self.facts.response_messages = None,
            Some(true) | None => {}
        }
        self.response_length = traits.content_length;
        self.response = Some(part(about, value));
    }
}

fn part<S>(about: About, value: S) -> ResponsePart<S> {
    ResponsePart {
        value,
        header_bytes: about.bytes,
        body_bytes: 0,
        first_byte_ns: about.began.at_ns,
        last_byte_ns: None,
        first_tag: about.began.tag,
    }
}

fn head_gaps(about: About, traits: Traits, cut: Gaps) -> Gaps {
    let cut = if about.cut { cut } else { Gaps::default() };
    let unknown = if traits.has_unknown {
        Gaps::FIELDS_UNKNOWN
    } else {
        Gaps::default()
    };
    cut.with(unknown).with(about.gaps)
}

fn trailer_gaps(about: About, traits: Traits) -> Gaps {
    head_gaps(about, traits, Gaps::TRAILERS_UNSEEN)
}
