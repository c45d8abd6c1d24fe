//! Who does not answer any more. The clock stands still but where all wait for it.

use rmcp::{ServiceExt, model::ClientConfig};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;
use crate::server::Server;

fn server(folder: &tempfile::TempDir) -> Server {
    let store = headwater_query::Store::new(&folder.path().join("none.db"));
    Server::new(store, "0.0.0-test", true)
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (near, far) = tokio::io::duplex(4 << 10);
    let (client, server) = tokio::join!(
        ClientConfig::default().serve(near),
        server(&folder).serve(far)
    );
    let (_client, server) = (client.unwrap(), server.unwrap());
    let waiting = while_it_answers(server.peer());
    let long = tokio::time::timeout(Duration::from_hours(1), waiting).await;
    assert!(long.is_err());
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let (near, far) = tokio::io::duplex(4 << 10);
    let serving = server(&folder).serve(far);
    let greeting = async {
        let (read, mut write) = tokio::io::split(near);
        let mut lines = BufReader::new(read).lines();
        write
            .write_all(
                b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\
                \"clientInfo\":{\"name\":\"t\",\"version\":\"0\"}}}\n{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n",
            )
            .await
            .unwrap();
        lines.next_line().await.unwrap().unwrap();
        (lines, write)
    };
    let (server, (mut lines, _write)) = tokio::join!(serving, greeting);
    let server = server.unwrap();
    while_it_answers(server.peer()).await;
    assert!(
        lines
            .next_line()
            .await
            .unwrap()
            .unwrap()
            .contains("\"ping\"")
    );
}
