//! `count-exchanges`: how many are stored, each looked at. For measurements, and so not in `--help`.

use std::{path::Path, time::Duration};

use headwater_query::{Counted, Store};
use tokio_util::sync::CancellationToken;

use super::{
    Exit,
    output::{answer, say_error},
};
use crate::paths::store_of;

/// Millions of exchanges take longer than an answer may.
const LIMIT: Duration = Duration::from_mins(10);

/// Tells the number on standard output.
pub(super) fn count(db: Option<&Path>, counted: Counted) -> Exit {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Exit::Failed;
    };
    let store = Store::new(&store_of(db)).with_time_limit(LIMIT);
    match runtime.block_on(store.count_exchanges(counted, &CancellationToken::new())) {
        Ok(count) => {
            answer(&format!("{count}\n"));
            Exit::Done
        }
        Err(error) => {
            say_error(&error);
            Exit::Store
        }
    }
}
