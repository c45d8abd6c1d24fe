//! The tools as subcommands: the same names, arguments and answers, from their declarations.

use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, Subcommand};
use headwater_mcp::{Asking, Kind, Parameter, Tool as McpTool, ToolError, structured, terminal};
use headwater_query::Store;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{
    Exit,
    output::{answer as print, say},
};
use crate::paths::store_to_read;

/// A tool with what was given.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    which: McpTool,
    given: Map<String, Value>,
    json: bool,
}

fn dashed(name: &str) -> String {
    name.replace('_', "-")
}

impl Subcommand for Tool {
    fn augment_subcommands(command: Command) -> Command {
        McpTool::ALL.into_iter().fold(command, |command, tool| {
            command.subcommand(subcommand(tool))
        })
    }
    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }
    fn has_subcommand(name: &str) -> bool {
        McpTool::ALL
            .into_iter()
            .any(|tool| dashed(tool.name()) == name)
    }
}

impl FromArgMatches for Tool {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let found = matches.subcommand().and_then(|(name, inner)| {
            let tool = McpTool::ALL
                .into_iter()
                .find(|tool| dashed(tool.name()) == name)?;
            Some((tool, inner))
        });
        let Some((tool, inner)) = found else {
            return Err(clap::Error::new(clap::error::ErrorKind::MissingSubcommand));
        };
        let given = tool
            .parameters()
            .iter()
            .filter_map(|parameter| Some((parameter.name.to_owned(), value(parameter, inner)?)))
            .collect();
        Ok(Self {
            which: tool,
            given,
            json: inner.get_flag("json"),
        })
    }
    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn subcommand(tool: McpTool) -> Command {
    let json = Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Print the tool's structured result");
    let command = Command::new(dashed(tool.name()))
        .about(tool.title())
        .long_about(tool.description())
        .arg(json);
    tool.parameters()
        .iter()
        .fold(command, |command, parameter| {
            let mut arg = Arg::new(parameter.name)
                .help(parameter.description)
                .required(parameter.required);
            arg = match parameter.kind {
                Kind::Flag => arg.long(dashed(parameter.name)).action(ArgAction::SetTrue),
                _ if parameter.required => arg.value_name(parameter.name.to_uppercase()),
                _ => arg
                    .long(dashed(parameter.name))
                    .value_name(placeholder(parameter))
                    .allow_hyphen_values(true),
            };
            command.arg(arg)
        })
}

fn placeholder(parameter: &Parameter) -> &'static str {
    match parameter.kind {
        Kind::Choice(_) => "WORD",
        Kind::Flag | Kind::Text => "TEXT",
        Kind::Integer { .. } | Kind::Number => "NUMBER",
    }
}

/// A value as the tool takes it. What is no number stays text, so that the tool's own check says what would be right.
fn value(parameter: &Parameter, matches: &ArgMatches) -> Option<Value> {
    if parameter.kind == Kind::Flag {
        return matches
            .get_flag(parameter.name)
            .then_some(Value::from(true));
    }
    let text = matches.get_one::<String>(parameter.name)?;
    let number = match parameter.kind {
        Kind::Integer { .. } => text.parse::<u64>().ok().map(Value::from),
        Kind::Number => text.parse::<f64>().ok().map(Value::from),
        Kind::Choice(_) | Kind::Flag | Kind::Text => None,
    };
    Some(number.unwrap_or_else(|| Value::from(text.as_str())))
}

/// Answers on standard output.
pub(super) fn answer(db: Option<&Path>, asked: Tool) -> Exit {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Exit::Failed;
    };
    let store = Store::new(&store_to_read(db));
    let cancel = CancellationToken::new();
    let told = runtime.block_on(async {
        let asking = Asking {
            store: &store,
            cancel: &cancel,
            progress: &|_, _| (),
        };
        let interrupted = cancel.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                interrupted.cancel();
            }
        });
        let mut given = asked.given;
        // A person's terminal has room; the budget is for models.
        given.entry("max_tokens").or_insert(Value::from(8000));
        asked.which.answer(given, &asking).await
    });
    match told {
        Ok(output) if asked.json => {
            print(&format!("{:#}", structured(&output)));
            Exit::Done
        }
        Ok(output) => {
            print(&terminal(&output));
            Exit::Done
        }
        Err(ToolError::Cancelled) => Exit::Failed,
        Err(error @ ToolError::Steer(_)) => {
            say(&error.to_string());
            Exit::Usage
        }
        Err(error @ ToolError::Internal) => {
            say(&error.to_string());
            Exit::Failed
        }
    }
}
