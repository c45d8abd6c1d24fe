//! The suite's fixtures, as data.

use std::collections::BTreeMap;

use rmcp::model::{
    CallToolResult, ElicitRequestParams, InputRequests, Prompt, PromptMessage, Resource,
    ResourceContents, ResourceTemplate, Tool,
};
use serde::Deserialize;
use serde_json::Value;

/// All of them, by their names.
#[derive(Debug, Deserialize)]
pub(crate) struct Fixtures {
    pub(crate) tools: Vec<Tool>,
    /// What tools answer that ask nothing.
    pub(crate) answers: BTreeMap<String, CallToolResult>,
    /// What tools ask the client's user while they are called.
    pub(crate) elicitations: BTreeMap<String, ElicitRequestParams>,
    /// What tools and prompts ask for in their answers.
    pub(crate) asks: BTreeMap<String, Asks>,
    pub(crate) prompts: Vec<Prompt>,
    messages: BTreeMap<String, Value>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) templates: Vec<ResourceTemplate>,
    pub(crate) contents: BTreeMap<String, ResourceContents>,
}

/// What is asked for, round by round, before there is an answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Asks {
    pub(crate) rounds: Vec<InputRequests>,
    /// Whether the client brings back a sealed state, which tells how many rounds there were.
    #[serde(default)]
    pub(crate) sealed: bool,
    /// Whether only what the client says it can is asked for.
    #[serde(default)]
    pub(crate) by_capability: bool,
}

impl Fixtures {
    pub(crate) fn read() -> Result<Self, serde_json::Error> {
        serde_json::from_str(include_str!("fixtures.json"))
    }

    /// A prompt's messages with its arguments filled in.
    pub(crate) fn messages(
        &self,
        prompt: &str,
        arguments: &BTreeMap<String, String>,
    ) -> Option<Vec<PromptMessage>> {
        let mut messages = self.messages.get(prompt)?.clone();
        fill(&mut messages, arguments);
        serde_json::from_value(messages).ok()
    }
}

fn fill(value: &mut Value, arguments: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            for (name, given) in arguments {
                *text = text.replace(&format!("{{{name}}}"), given);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, arguments)),
        Value::Object(fields) => fields.values_mut().for_each(|field| fill(field, arguments)),
        _ => {}
    }
}
