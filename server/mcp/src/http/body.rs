//! The message that a request carries: all of it, within a bound of bytes and of time, before anybody else has to wait for it.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

/// A request's body at most, in bytes.
pub(super) const MAX_BODY: usize = 64 << 10;

/// Gathers it.
///
/// # Errors
/// What the client is to be told.
pub(super) async fn whole(body: Body) -> Result<Bytes, Response> {
    match timeout(ARRIVING, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        // Or it broke off, and nobody reads this.
        Ok(Err(_)) => {
            let told = format!("a message may have {MAX_BODY} bytes at most\n");
            Err((StatusCode::PAYLOAD_TOO_LARGE, told).into_response())
        }
        Err(_) => {
            let told = "the message did not come to its end\n";
            Err((StatusCode::REQUEST_TIMEOUT, told).into_response())
        }
    }
}

/// How long it may take to arrive.
const ARRIVING: Duration = Duration::from_secs(30);
