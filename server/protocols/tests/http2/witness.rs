//! What was said with less in sight, held against what is said with everything in sight.

use std::collections::HashMap;

use headwater_protocols::http1::{Exchange, Gaps, Outcome};

use crate::conversation::{Head, Known, Recorder, line};

/// The exchanges of a conversation that was seen whole, by stream.
pub(crate) struct Truth(HashMap<u32, Exchange<Head, Head>>);

impl Truth {
    pub(crate) fn new(recorder: &Recorder) -> Self {
        Self(
            recorder
                .exchanges
                .iter()
                .map(|exchange| (stream(exchange), exchange.clone()))
                .collect(),
        )
    }

    /// What `recorder` knows is true, and what it does not know it says. Returns the streams it found.
    #[track_caller]
    pub(crate) fn check(&self, recorder: &Recorder) -> Vec<u32> {
        for exchange in &recorder.exchanges {
            let truth = &self.0[&stream(exchange)];
            if exchange.gaps == Gaps::default() {
                assert_eq!(line(exchange), line(truth), "without a gap");
            }
            if exchange.outcome == Outcome::Complete {
                assert_eq!(truth.outcome, Outcome::Complete, "{}", line(exchange));
            }
            if let Some(part) = &exchange.request {
                let of = truth.request.as_ref().expect("a request");
                is_part(&part.value, &of.value);
                assert!(part.body_bytes <= of.body_bytes);
            }
            if let Some(part) = &exchange.response {
                let of = truth.response.as_ref().expect("a response");
                is_part(&part.value, &of.value);
                assert!(part.body_bytes <= of.body_bytes);
            }
            let facts = exchange.stream.as_ref().unwrap();
            let of = truth.stream.as_ref().unwrap();
            assert!(facts.stalled_ns <= of.stalled_ns);
            assert!(facts.error.is_none() || facts.error == of.error);
            let pairs = [
                (facts.request_messages, of.request_messages),
                (facts.response_messages, of.response_messages),
            ];
            for (messages, of) in pairs {
                if let (Some(messages), Some(of)) = (messages, of) {
                    assert!(messages.tally().messages <= of.tally().messages);
                    if messages.is_exact() && exchange.outcome == Outcome::Complete {
                        assert_eq!(messages.tally(), of.tally(), "{}", line(exchange));
                    }
                }
            }
        }
        recorder.exchanges.iter().map(stream).collect()
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }
}

fn stream(exchange: &Exchange<Head, Head>) -> u32 {
    exchange.stream.as_ref().unwrap().stream_id
}

#[track_caller]
fn is_part(head: &Head, of: &Head) {
    for (name, value) in &head.pseudo {
        let (_, truth) = of
            .pseudo
            .iter()
            .find(|(other, _)| other == name)
            .expect(name);
        assert!(value.is_none() || value == truth, "{name}: {value:?}");
    }
    are_among(&head.fields, &of.fields);
    are_among(&head.trailers, &of.trailers);
}

/// Known names with known values, in the same order.
#[track_caller]
fn are_among(fields: &[(Known, Known)], of: &[(Known, Known)]) {
    let mut rest = of.iter();
    for field in fields {
        let (Some(name), value) = field else {
            continue;
        };
        let found = rest.any(|(other, truth)| {
            other.as_ref() == Some(name) && (value.is_none() || value == truth)
        });
        assert!(found, "{field:?} is not in {of:?}");
    }
}
