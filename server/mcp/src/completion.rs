//! Values for the arguments of prompts and the variables of resource templates (`completion/complete`).
//!
//! Owns: which argument takes which values, and times. Names come from the store, where what is no short plain name is left out
//! (`headwater_query::Suggestions`).

use headwater_query::{QueryError, Store, Suggested, Suggestions, SuggestionsQuery};
use rmcp::{
    ErrorData,
    model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference},
};
use tokio_util::sync::CancellationToken;

use crate::{ToolError, prompts, resources};

/// What an argument takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// Anything: there is nothing to offer.
    Free,
    /// Times before now, and marks.
    Times,
    /// What is recorded.
    Recorded(Suggested),
}

/// Times before now, the nearest first.
const TIMES: [&str; 10] = [
    "-5m", "-10m", "-15m", "-30m", "-1h", "-2h", "-6h", "-12h", "-1d", "-7d",
];
/// Longer than all that is offered.
const LONGEST: usize = 256;

/// Answers the request.
///
/// # Errors
/// What is wrong with it, and what would be right. Nothing of it is said back.
pub(crate) async fn complete(
    request: &CompleteRequestParams,
    store: &Store,
    cancel: &CancellationToken,
) -> Result<CompleteResult, ErrorData> {
    let argument = &request.argument.name;
    let values = match &request.r#ref {
        Reference::Prompt(prompt) => prompts::values(&prompt.name, argument),
        Reference::Resource(resource) => resources::values(&resource.uri, argument),
        _ => Err(
            "ref is of a prompt (ref/prompt) or of a resource template (ref/resource)".to_owned(),
        ),
    }
    .map_err(|problem| ErrorData::invalid_params(problem, None))?;
    let prefix = request.argument.value.trim();
    let context = request.context.as_ref();
    let service = context.and_then(|context| context.get_argument("service"));
    if [Some(prefix), service.map(String::as_str)]
        .into_iter()
        .flatten()
        .any(|text| text.len() > LONGEST)
    {
        return Err(ErrorData::invalid_params(
            format!("a value to complete has at most {LONGEST} bytes"),
            None,
        ));
    }
    let recorded = async |of| {
        let query = SuggestionsQuery {
            of,
            prefix: prefix.to_owned(),
            service: service.filter(|name| !name.trim().is_empty()).cloned(),
        };
        match store.suggestions(&query, cancel).await {
            // There is none yet, or it cannot be read now: then there is nothing to offer.
            Err(QueryError::Store { .. }) => Ok(Suggestions {
                values: Vec::new(),
                total: Some(0),
            }),
            found => found.map_err(|error| {
                ErrorData::internal_error(ToolError::from(error).to_string(), None)
            }),
        }
    };
    let found = match values {
        Values::Free => Suggestions {
            values: Vec::new(),
            total: Some(0),
        },
        Values::Times => with_times(prefix, recorded(Suggested::Marks).await?),
        Values::Recorded(of) => recorded(of).await?,
    };
    completed(found)
}

/// Times, and the marks behind them.
fn with_times(prefix: &str, marks: Suggestions) -> Suggestions {
    // Whoever begins with the number means the same.
    let is_meant = |time: &&str| {
        [time, time.trim_start_matches('-')]
            .iter()
            .any(|form| form.starts_with(&prefix.to_ascii_lowercase()))
    };
    let mut values: Vec<String> = TIMES
        .iter()
        .filter(|time| is_meant(time))
        .map(|time| (*time).to_owned())
        .collect();
    let total = marks.total.map(|total| total + values.len());
    values.extend(marks.values);
    values.truncate(Suggestions::MOST);
    Suggestions { values, total }
}

fn completed(found: Suggestions) -> Result<CompleteResult, ErrorData> {
    let has_more = found.total.is_none_or(|total| total > found.values.len());
    let total = found.total.and_then(|total| u32::try_from(total).ok());
    CompletionInfo::with_pagination(found.values, total, has_more)
        .map(CompleteResult::new)
        .map_err(|problem| ErrorData::internal_error(problem, None))
}
