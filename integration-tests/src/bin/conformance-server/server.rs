//! The suite's server.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities,
        CompleteRequestParams, CompleteResult, CompletionInfo, ContentBlock,
        CreateMessageRequestParams, ElicitRequestParams, GetPromptRequestParams, GetPromptResponse,
        GetPromptResult, Implementation, ListPromptsResult, ListResourceTemplatesResult,
        ListResourcesResult, ListToolsResult, LoggingLevel, LoggingMessageNotificationParam,
        PaginatedRequestParams, ProgressNotificationParam, ReadResourceRequestParams,
        ReadResourceResponse, ReadResourceResult, RequestStateCodec, ResourceContents,
        SamplingMessage, ServerCapabilities, ServerConfig, SetLevelRequestParams,
        SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
    },
    service::{RequestContext, SubscriptionContext, SubscriptionSink},
};
use serde_json::{Value, json};

use crate::{
    asks::{Brought, shown},
    fixtures::Fixtures,
};

/// Between two notifications of a call, so that the client sees them singly.
const PAUSE: Duration = Duration::from_millis(50);

/// One for all sessions: it is cloned for each.
#[derive(Clone)]
pub(crate) struct Server {
    fixtures: Arc<Fixtures>,
    codec: RequestStateCodec,
    listening: Arc<Mutex<Vec<SubscriptionSink>>>,
}

impl Server {
    pub(crate) fn new() -> Result<Self, serde_json::Error> {
        Ok(Self {
            fixtures: Arc::new(Fixtures::read()?),
            // No secret: nothing depends on it but the suite's own requests.
            codec: RequestStateCodec::new_unchecked([7_u8; 32]),
            listening: Arc::default(),
        })
    }

    fn listening(&self) -> Vec<SubscriptionSink> {
        let listening = self.listening.lock();
        listening.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those that went away say so when they are told something, which nobody minds.
    fn remember(&self, sink: &SubscriptionSink) {
        let listening = self.listening.lock();
        let mut listening = listening.unwrap_or_else(PoisonError::into_inner);
        listening.push(sink.clone());
    }

    /// What some tools do before they answer.
    async fn act(&self, tool: &str, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
        let log = async |level, text: &str| {
            let told = LoggingMessageNotificationParam::new(level, json!(text));
            let _ = context.peer.notify_logging_message(told).await;
        };
        match tool {
            "test_tool_with_logging" => {
                for text in ["started", "processing data", "completed"] {
                    log(LoggingLevel::Info, &format!("Tool execution {text}")).await;
                    tokio::time::sleep(PAUSE).await;
                }
            }
            "test_logging_tool" => {
                if let Some(level) = context.meta.log_level() {
                    log(level, "asked for").await;
                }
            }
            "test_tool_with_progress" => {
                for done in [0.0, 50.0, 100.0] {
                    if let Some(token) = context.meta.get_progress_token() {
                        let told = ProgressNotificationParam::new(token, done).with_total(100.0);
                        let _ = context.peer.notify_progress(told).await;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
            "test_reconnection" => tokio::time::sleep(PAUSE).await,
            "test_missing_capability" => {
                let can = context.meta.client_capabilities().unwrap_or_default();
                if can.sampling.is_none() {
                    let needed = ClientCapabilities::builder().enable_sampling().build();
                    return Err(ErrorData::missing_required_client_capability(needed));
                }
            }
            "test_trigger_tool_change" => {
                for sink in self.listening() {
                    let _ = sink.notify_tool_list_changed().await;
                }
            }
            "test_trigger_prompt_change" => {
                for sink in self.listening() {
                    let _ = sink.notify_prompt_list_changed().await;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn sample(prompt: &str, context: &RequestContext<RoleServer>) -> CallToolResult {
        let asked = vec![SamplingMessage::user_text(prompt)];
        let asked = CreateMessageRequestParams::new(asked, 100);
        match context.peer.create_message(asked).await {
            Ok(answer) => {
                let text = answer.message.content.first().and_then(|it| it.as_text());
                let text = text.map(|text| text.text.clone()).unwrap_or_default();
                said(format!("LLM response: {text}"))
            }
            Err(error) => CallToolResult::error(vec![ContentBlock::text(error.to_string())]),
        }
    }

    async fn elicit(
        asked: &ElicitRequestParams,
        message: Option<&str>,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let mut asked = asked.clone();
        if let (ElicitRequestParams::FormElicitationParams { message, .. }, Some(given)) =
            (&mut asked, message)
        {
            given.clone_into(message);
        }
        match context.peer.create_elicitation(asked).await {
            Ok(answer) => {
                let answer = serde_json::to_value(answer).unwrap_or_default();
                said(format!(
                    "User response: action={}, content={}",
                    answer["action"], answer["content"]
                ))
            }
            Err(error) => CallToolResult::error(vec![ContentBlock::text(error.to_string())]),
        }
    }
}

fn said(text: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

fn text_of(arguments: Option<&serde_json::Map<String, Value>>, name: &str) -> Option<String> {
    arguments?.get(name)?.as_str().map(str::to_owned)
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let can = ServerCapabilities::builder()
            .enable_completions()
            .enable_logging()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        let name = Implementation::new("headwater-conformance", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(can).with_server_info(name)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let mut tools = self.fixtures.tools.iter();
        tools.find(|tool| tool.name == name).cloned()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.fixtures.tools.clone()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (name, arguments) = (&*request.name, request.arguments.as_ref());
        if let Some(asks) = self.fixtures.asks.get(name) {
            let brought = Brought {
                state: request.request_state.as_deref(),
                responses: request.input_responses.as_ref(),
                capabilities: context.meta.client_capabilities().unwrap_or_default(),
            };
            return Ok(match asks.missing(&brought, &self.codec)? {
                Some(missing) => missing.into(),
                None => said(shown(&brought)).into(),
            });
        }
        if let Some(asked) = self.fixtures.elicitations.get(name) {
            let message = text_of(arguments, "message");
            return Ok(Self::elicit(asked, message.as_deref(), &context)
                .await
                .into());
        }
        if name == "test_sampling" {
            let prompt = text_of(arguments, "prompt").unwrap_or_default();
            return Ok(Self::sample(&prompt, &context).await.into());
        }
        let Some(answer) = self.fixtures.answers.get(name) else {
            return Err(ErrorData::invalid_params("there is no such tool", None));
        };
        self.act(name, &context).await?;
        Ok(answer.clone().into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = self.fixtures.prompts.clone();
        Ok(ListPromptsResult::with_all_items(prompts))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let mut given = BTreeMap::new();
        for (name, value) in request.arguments.iter().flatten() {
            let text = value.as_str().unwrap_or_default().to_owned();
            given.insert(name.clone(), text);
        }
        if let Some(asks) = self.fixtures.asks.get(&request.name) {
            let brought = Brought {
                state: request.request_state.as_deref(),
                responses: request.input_responses.as_ref(),
                capabilities: context.meta.client_capabilities().unwrap_or_default(),
            };
            if let Some(missing) = asks.missing(&brought, &self.codec)? {
                return Ok(missing.into());
            }
            given.insert("answers".to_owned(), shown(&brought));
        }
        match self.fixtures.messages(&request.name, &given) {
            Some(messages) => Ok(GetPromptResult::new(messages).into()),
            None => Err(ErrorData::invalid_params("there is no such prompt", None)),
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resources = self.fixtures.resources.clone();
        Ok(ListResourcesResult::with_all_items(resources))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = self.fixtures.templates.clone();
        Ok(ListResourceTemplatesResult::with_all_items(templates))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri;
        let filled = uri
            .strip_prefix("test://template/")
            .and_then(|rest| rest.strip_suffix("/data"))
            .map(|id| {
                let data = format!("Data for ID: {id}");
                let text = json!({ "id": id, "templateTest": true, "data": data });
                ResourceContents::text(text.to_string(), uri.clone())
                    .with_mime_type("application/json")
            });
        match filled.or_else(|| self.fixtures.contents.get(&uri).cloned()) {
            Some(contents) => Ok(ReadResourceResult::new(vec![contents]).into()),
            None => Err(ErrorData::resource_not_found(
                "there is no such resource",
                Some(json!({ "uri": uri })),
            )),
        }
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let begun = request.argument.value;
        let words = ["paris", "park", "party"].into_iter();
        let words = words.filter(|word| word.starts_with(&begun));
        CompletionInfo::with_all_values(words.map(str::to_owned).collect())
            .map(CompleteResult::new)
            .map_err(|error| ErrorData::internal_error(error, None))
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(
        &self,
        _: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.remember(context.sink());
        context.cancelled().await;
        Ok(())
    }
}
