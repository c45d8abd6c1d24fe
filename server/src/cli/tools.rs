//! The tools as subcommands: the same names, arguments and answers, from their declarations.

use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, Subcommand};
use headwater_mcp::{Asking, Kind, Parameter, Tool as McpTool, ToolError, structured, terminal};
use headwater_query::{Store, StoreState, Syntax};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{
    Exit, examples,
    output::{answer as print, say},
};
use crate::paths::store_of;

/// The budget is for models, and what a terminal has room for.
const BUDGET: &str = "max_tokens";
const ROOM: u32 = 8000;

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
        .after_help(examples::of_tool(&dashed(tool.name())))
        .arg(json);
    tool.parameters()
        .iter()
        .fold(command, |command, parameter| {
            let mut arg = Arg::new(parameter.name).help(help(parameter));
            arg = match parameter.kind {
                Kind::Flag => arg.long(dashed(parameter.name)).action(ArgAction::SetTrue),
                // Said without its name, as people do, or with it, as everything else is.
                _ if is_bare(parameter) => {
                    let named = Arg::new(named(parameter))
                        .long(dashed(parameter.name))
                        .value_name(placeholder(parameter))
                        .help(format!("The same as {}", parameter.name.to_uppercase()))
                        .conflicts_with(parameter.name);
                    let bare = arg.value_name(parameter.name.to_uppercase());
                    return command.arg(named).arg(if parameter.required {
                        bare.required_unless_present(self::named(parameter))
                    } else {
                        bare
                    });
                }
                _ => arg
                    .long(dashed(parameter.name))
                    .value_name(placeholder(parameter))
                    .allow_hyphen_values(true),
            };
            command.arg(arg)
        })
}

/// What a tool is about: its required parameter, or what is named.
fn is_bare(parameter: &Parameter) -> bool {
    parameter.required || matches!(parameter.name, "name" | "sql")
}

/// clap's own name for a parameter without a name that is given as an option.
fn named(parameter: &Parameter) -> String {
    format!("named-{}", parameter.name)
}

/// A person's terminal has room: the budget that is the default here is the largest one.
fn help(parameter: &Parameter) -> String {
    let description = parameter.description;
    match parameter.kind {
        _ if parameter.name == BUDGET => {
            format!("{description}, in tokens; at most, and here the default, {ROOM}")
        }
        Kind::Integer { min, max, default } => {
            format!("{description} [{min} to {max}, default {default}]")
        }
        Kind::Choice(words) => format!("{description} [{}]", words.join(", ")),
        Kind::Flag | Kind::Number | Kind::Statement | Kind::Text | Kind::Written(_) => {
            description.to_owned()
        }
    }
}

fn placeholder(parameter: &Parameter) -> &'static str {
    match parameter.kind {
        Kind::Choice(_) => "WORD",
        Kind::Written(Syntax::Time) => "TIME",
        Kind::Statement => "SELECT",
        Kind::Flag | Kind::Text | Kind::Written(_) => "TEXT",
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
    let text = matches.get_one::<String>(parameter.name).or_else(|| {
        let named = named(parameter);
        is_bare(parameter).then(|| matches.get_one(&named))?
    })?;
    let number = match parameter.kind {
        Kind::Integer { .. } => text.parse::<u64>().ok().map(Value::from),
        Kind::Number => text.parse::<f64>().ok().map(Value::from),
        Kind::Choice(_) | Kind::Flag | Kind::Statement | Kind::Text | Kind::Written(_) => None,
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
    let store = Store::new(&store_of(db));
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
        given.entry(BUDGET).or_insert(Value::from(ROOM));
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
        Err(error) => {
            say(&error.to_string());
            exit_of(&error)
        }
    }
}

/// What a script can tell apart.
fn exit_of(error: &ToolError) -> Exit {
    match error {
        ToolError::Cancelled | ToolError::Internal => Exit::Failed,
        ToolError::NotHere(_) => Exit::Data,
        ToolError::Steer(_) => Exit::Usage,
        ToolError::Store { state, .. } => match state {
            Some(StoreState::Damaged) => Exit::Data,
            Some(StoreState::Missing) => Exit::NoInput,
            Some(StoreState::NotReadable) => Exit::Permission,
            Some(StoreState::Newer | StoreState::Older | StoreState::Readable) | None => {
                Exit::Unavailable
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a command line comes to.
    fn given(words: &[&str]) -> Option<Map<String, Value>> {
        let command = Tool::augment_subcommands(Command::new("headwater"));
        let matches = command
            .try_get_matches_from([&["headwater"], words].concat())
            .ok()?;
        Some(Tool::from_arg_matches(&matches).ok()?.given)
    }

    #[test]
    fn an_id_is_given_with_or_without_its_name() {
        for words in [
            &["get-exchange", "x_1"][..],
            &["get-exchange", "--id", "x_1"],
        ] {
            assert_eq!(given(words).unwrap()["id"], "x_1", "{words:?}");
        }
        assert_eq!(
            given(&["mark", "before-deploy"]).unwrap()["name"],
            "before-deploy"
        );
        assert!(!given(&["mark"]).unwrap().contains_key("name"));
        assert!(given(&["get-exchange"]).is_none());
        assert!(given(&["get-exchange", "x_1", "--id", "x_2"]).is_none());
    }

    #[test]
    fn the_help_tells_the_budget_that_is_used() {
        for tool in McpTool::ALL {
            let told = subcommand(tool).render_help().to_string();
            let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(told.contains("here the default, 8000"), "{told}");
            assert!(told.contains("Examples: headwater "), "{told}");
            for parameter in tool.parameters() {
                if let (BUDGET, Kind::Integer { max, .. }) = (parameter.name, parameter.kind) {
                    assert_eq!(max, u64::from(ROOM));
                }
            }
        }
    }

    #[test]
    fn exit_codes_tell_stores_and_ids_apart() {
        let store = |state| ToolError::Store {
            text: String::new(),
            state,
        };
        for (error, expected) in [
            (ToolError::Steer(String::new()), Exit::Usage),
            (ToolError::NotHere(String::new()), Exit::Data),
            (store(Some(StoreState::Damaged)), Exit::Data),
            (store(Some(StoreState::Missing)), Exit::NoInput),
            (store(Some(StoreState::NotReadable)), Exit::Permission),
            (store(Some(StoreState::Newer)), Exit::Unavailable),
            (store(None), Exit::Unavailable),
        ] {
            assert_eq!(exit_of(&error), expected, "{error:?}");
        }
    }
}
