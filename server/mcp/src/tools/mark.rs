//! `mark`: names a moment. The only tool that writes.

use headwater_query::{Mark, Syntax, TimeArgument, rfc3339};
use serde_json::Value;

use super::{Asking, Declaration, ToolError};
use crate::{
    Arguments, Output, Parameter,
    arguments::common::{LIMIT, MAX_TOKENS},
    budget::{Fit, Fitting, cut},
    output::{FactSpec, TableSpec, captured_column, column, fact},
};

pub(super) static DECLARATION: Declaration = Declaration {
    name: "mark",
    title: "Name a moment",
    description: "Names a moment, such as before-deploy, so that since and until of every tool take that name. Without a name it lists the marks. \
        Use it before a change, then compare with since=before-deploy. It writes one line into a file beside the store, and nothing else.",
    parameters: &[
        Parameter::text(
            "name",
            "Letters, digits, '.', '_' and '-', 64 at most; a name given again moves",
        ),
        Parameter::written(
            "at",
            Syntax::Time,
            "The moment, like since; now unless told",
        ),
        LIMIT,
        MAX_TOKENS,
    ],
    facts: FACTS,
    tables: &[TABLE],
};

const FACTS: &[FactSpec] = &[fact("marked", "string")];

const TABLE: TableSpec = TableSpec {
    name: "",
    columns: &[captured_column("mark"), column("at")],
};

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let at = arguments.text("at").map(TimeArgument);
    let marked = match arguments.text("name") {
        Some(name) => Some(asking.store.mark(&name, at.as_ref(), asking.cancel).await?),
        None if at.is_some() => {
            return Err(ToolError::Steer(
                "give name too: what the moment is called".to_owned(),
            ));
        }
        None => None,
    };
    let mut answer = asking.store.marks(asking.cancel).await?;
    if let Some(marked) = &marked {
        answer.value.retain(|mark| mark.name == marked.name);
    }
    let has_any = !answer.value.is_empty();
    let mut left_out = cut(&mut answer.value, arguments.limit());
    let mut fitting = Fitting::new(arguments.max_tokens());
    loop {
        let mut output = Output::listed(&answer, "", &TABLE, true, row);
        output.tell(
            FACTS,
            "marked",
            marked.as_ref().map(|mark| rfc3339(mark.at_ns)),
        );
        if !has_any {
            output.notes.push("there is no mark yet".to_owned());
        }
        if left_out > 0 {
            output
                .notes
                .push(format!("{left_out} earlier marks are left out"));
        }
        match fitting.judge(output) {
            Fit::Done(output) => return Ok(*output),
            Fit::Again(most) => left_out += cut(&mut answer.value, most),
        }
    }
}

fn row(mark: &Mark) -> Vec<Value> {
    vec![mark.name.as_str().into(), rfc3339(mark.at_ns).into()]
}
