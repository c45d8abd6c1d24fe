//! Answers that ask for more input, and what comes back.

use rmcp::{
    ErrorData,
    model::{
        ClientCapabilities, InputRequest, InputRequests, InputRequiredResult, InputResponses,
        RequestStateCodec,
    },
};
use serde_json::Value;

use crate::fixtures::Asks;

/// What a client brought back.
pub(crate) struct Brought<'a> {
    pub(crate) state: Option<&'a str>,
    pub(crate) responses: Option<&'a InputResponses>,
    pub(crate) capabilities: ClientCapabilities,
}

impl Asks {
    /// What is still to be asked for; nothing when all is there.
    pub(crate) fn missing(
        &self,
        brought: &Brought<'_>,
        codec: &RequestStateCodec,
    ) -> Result<Option<InputRequiredResult>, ErrorData> {
        // A state says which round was answered; without one it can only be the first.
        let answered = match brought.state.filter(|_| self.sealed) {
            None => 0,
            Some(state) => codec.open_json::<usize>(state).map_err(|_| {
                ErrorData::invalid_params("the requestState is not one of this server", None)
            })?,
        };
        let complete = |round: usize| {
            let asked = self.round(round, brought);
            asked.keys().all(|key| {
                let given = brought.responses.and_then(|given| given.get(key));
                given.is_some_and(Value::is_object)
            })
        };
        let begins = self.sealed && brought.state.is_none();
        let next = if begins || !complete(answered) {
            answered
        } else {
            answered + 1
        };
        if next >= self.rounds.len() {
            return Ok(None);
        }
        let state = self.sealed.then(|| codec.seal_json(&next)).transpose();
        let state = state.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let requests = self.round(next, brought);
        Ok(Some(InputRequiredResult::new(Some(requests), state)))
    }

    fn round(&self, round: usize, brought: &Brought<'_>) -> InputRequests {
        let can = |request: &InputRequest| match request {
            InputRequest::Elicitation(_) => brought.capabilities.elicitation.is_some(),
            InputRequest::CreateMessage(_) => brought.capabilities.sampling.is_some(),
            InputRequest::ListRoots(_) => brought.capabilities.roots.is_some(),
            _ => false,
        };
        let asked = self.rounds.get(round).cloned().unwrap_or_default();
        let asked = asked.into_iter();
        asked
            .filter(|(_, request)| !self.by_capability || can(request))
            .collect()
    }
}

/// What was brought back, for the answer to show.
pub(crate) fn shown(brought: &Brought<'_>) -> String {
    let responses = serde_json::to_string(&brought.responses).unwrap_or_default();
    // A state that was not this server's did not get here.
    let state = brought.state.map_or("", |_| "state-ok ");
    format!("{state}{responses}")
}
