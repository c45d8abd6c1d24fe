//! The current failures, and those who are told of them: in both forms, until they go.

use std::time::Duration;

use headwater_mcp::{ServeError, serve_stream};
use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceExt,
    model::{
        ProtocolVersion, ReadResourceRequestParams, ResourceUpdatedNotificationParam,
        ServerNotification, SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
    },
    service::{NotificationContext, RunningService},
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::client::Era;
use crate::fixture::{Fixture, Row, SECOND};

pub(crate) const FAILURES: &str = "headwater://failures";

/// Listens without any library.
pub(crate) const LISTEN: &str = r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["headwater://failures"]},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"t","version":"0"}}}}"#;

/// A client that keeps what it is told.
struct Told(mpsc::UnboundedSender<ResourceUpdatedNotificationParam>);

impl ClientHandler for Told {
    async fn on_resource_updated(
        &self,
        update: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let _ = self.0.send(update);
    }
}

struct Session {
    client: RunningService<RoleClient, Told>,
    updates: mpsc::UnboundedReceiver<ResourceUpdatedNotificationParam>,
    server: JoinHandle<Result<(), ServeError>>,
}

async fn connect(fixture: &Fixture, era: Era) -> Session {
    let (near, far) = tokio::io::duplex(64 << 10);
    let server = tokio::spawn(serve_stream(fixture.store(), "0.0.0-test", far));
    let (tell, updates) = mpsc::unbounded_channel();
    let mode = match era {
        Era::Initialize => ClientLifecycleMode::Initialize,
        Era::Stateless => ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        },
    };
    let client = match era {
        Era::Initialize => Told(tell).serve(near).await.unwrap(),
        Era::Stateless => Told(tell).serve_with_lifecycle(near, mode).await.unwrap(),
    };
    Session {
        client,
        updates,
        server,
    }
}

fn filter(uri: &str) -> SubscriptionFilter {
    SubscriptionFilter::builder()
        .resource_subscriptions([uri])
        .build()
}

pub(crate) fn failure(fixture: &Fixture, status: i64) -> Row {
    let mut row = Row::at(fixture.now_ns - 5 * SECOND, "/failing");
    row.status = status;
    row
}

#[tokio::test]
async fn the_current_failures_are_listed_and_read() {
    let mut fixture = Fixture::new();
    fixture.commit(&[failure(&fixture, 503)]);
    for era in [Era::Initialize, Era::Stateless] {
        let session = connect(&fixture, era).await;
        let told = serde_json::to_value(&session.client.peer_info().unwrap().capabilities).unwrap();
        assert_eq!(told["resources"]["subscribe"], true, "{told}");
        let listed = session.client.list_all_resources().await.unwrap();
        assert!(listed.iter().any(|one| one.uri == FAILURES));
        let read = session
            .client
            .read_resource(ReadResourceRequestParams::new(FAILURES))
            .await
            .unwrap();
        let text = serde_json::to_string(&read.contents).unwrap();
        assert!(
            text.contains("status 503") && text.contains("captured text"),
            "{text}"
        );
    }
}

#[tokio::test]
#[expect(deprecated, reason = "the older form is for older clients")]
async fn a_session_is_told_until_it_unsubscribes() {
    let mut fixture = Fixture::new();
    fixture.commit(&[failure(&fixture, 503)]);
    let mut session = connect(&fixture, Era::Initialize).await;
    // Twice is once.
    for _ in 0..2 {
        session
            .client
            .subscribe(SubscribeRequestParams::new(FAILURES))
            .await
            .unwrap();
    }
    fixture.commit(&[Row::at(fixture.now_ns - SECOND, "/well")]);
    fixture.commit(&[failure(&fixture, 502)]);
    let update = session.updates.recv().await.unwrap();
    assert_eq!(update.uri, FAILURES);
    // Nothing but the address.
    let json = serde_json::to_value(&update).unwrap();
    assert_eq!(
        json.as_object().map(serde_json::Map::len),
        Some(1),
        "{json}"
    );
    // Once more of the same group.
    fixture.commit(&[failure(&fixture, 502)]);
    session.updates.recv().await.unwrap();
    session
        .client
        .unsubscribe(UnsubscribeRequestParams::new(FAILURES))
        .await
        .unwrap();
    // Another subscription that is told shows that this one was not.
    let mut other = connect(&fixture, Era::Stateless).await;
    let mut listening = other.client.listen(filter(FAILURES)).await.unwrap();
    // It begins with what fails already.
    listening.next().await.unwrap().unwrap();
    fixture.commit(&[failure(&fixture, 500)]);
    listening.next().await.unwrap().unwrap();
    assert!(session.updates.try_recv().is_err());
    assert!(other.updates.try_recv().is_err());
    drop(session.client);
    session.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn whoever_listens_is_told_until_it_cancels() {
    let mut fixture = Fixture::new();
    let session = connect(&fixture, Era::Stateless).await;
    let mut filter = filter("headwater://coverage");
    filter
        .resource_subscriptions
        .as_mut()
        .unwrap()
        .push(FAILURES.to_owned());
    let mut listening = session.client.listen(filter).await.unwrap();
    let accepted = listening.acknowledged().resource_subscriptions.clone();
    assert_eq!(accepted, Some(vec![FAILURES.to_owned()]));
    for status in [502, 502, 404] {
        fixture.commit(&[failure(&fixture, status)]);
        let told = listening.next().await.unwrap().unwrap();
        let ServerNotification::ResourceUpdatedNotification(told) = told else {
            panic!("{told:?}");
        };
        assert_eq!(told.params.uri, FAILURES);
    }
    listening.cancel().await.unwrap();
    // The connection goes on.
    session.client.list_all_tools().await.unwrap();
}

#[tokio::test]
#[expect(deprecated, reason = "the older form is for older clients")]
async fn what_cannot_be_subscribed_to_is_told() {
    let fixture = Fixture::new();
    let session = connect(&fixture, Era::Initialize).await;
    for uri in [
        "headwater://coverage",
        "headwater://exchange/x_k7q21",
        "canary://",
        "",
    ] {
        for error in [
            session
                .client
                .subscribe(SubscribeRequestParams::new(uri))
                .await
                .unwrap_err(),
            session
                .client
                .unsubscribe(UnsubscribeRequestParams::new(uri))
                .await
                .unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(
                error.contains("-32602") && error.contains(FAILURES),
                "{error}"
            );
            assert!(!error.contains("canary"), "{error}");
        }
    }
    // Of one that was never begun there is nothing to end.
    session
        .client
        .unsubscribe(UnsubscribeRequestParams::new(FAILURES))
        .await
        .unwrap();
    let session = connect(&fixture, Era::Stateless).await;
    let mut listening = session
        .client
        .listen(filter("headwater://coverage"))
        .await
        .unwrap();
    let error = listening.next().await.unwrap_err().to_string();
    assert!(
        error.contains("-32602") && error.contains(FAILURES),
        "{error}"
    );
    // Lists that never change can be listened to.
    let lists = SubscriptionFilter::builder().tools_list_changed().build();
    let mut listening = session.client.listen(lists).await.unwrap();
    session.client.list_all_tools().await.unwrap();
    listening.cancel().await.unwrap();
}

#[tokio::test]
async fn one_client_listens_a_few_times_at_once() {
    let fixture = Fixture::new();
    let session = connect(&fixture, Era::Stateless).await;
    let mut listening = Vec::new();
    for _ in 0..8 {
        listening.push(session.client.listen(filter(FAILURES)).await.unwrap());
    }
    let mut more = session.client.listen(filter(FAILURES)).await.unwrap();
    let error = more.next().await.unwrap_err().to_string();
    assert!(error.contains("too many subscriptions"), "{error}");
    let mut other = connect(&fixture, Era::Stateless).await.client;
    other.listen(filter(FAILURES)).await.unwrap();
    other.close().await.unwrap();
}

/// Its first message is what it listens by, and it goes as soon as it is told so. The clock stands still but where all wait for it, so
/// that it tells whether somebody waited for a time to pass.
#[tokio::test(start_paused = true)]
async fn the_end_of_the_input_ends_it_at_once() {
    let mut fixture = Fixture::new();
    fixture.commit(&[failure(&fixture, 503)]);
    let (near, far) = tokio::io::duplex(4 << 10);
    let server = tokio::spawn(serve_stream(fixture.store(), "0.0.0-test", far));
    let (read, mut write) = tokio::io::split(near);
    write
        .write_all(format!("{LISTEN}\n").as_bytes())
        .await
        .unwrap();
    let mut lines = BufReader::new(read).lines();
    let told = lines.next_line().await.unwrap().unwrap();
    assert!(told.contains("acknowledged"), "{told}");
    let begun = tokio::time::Instant::now();
    write.shutdown().await.unwrap();
    server.await.unwrap().unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    // What was open is answered.
    let mut last = told;
    while let Some(line) = lines.next_line().await.unwrap() {
        last = line;
    }
    assert!(last.contains("\"result\""), "{last}");
}

/// A client that reads nothing more holds back nobody, and ends as any other.
#[tokio::test]
async fn a_client_that_does_not_read_harms_nobody() {
    let mut fixture = Fixture::new();
    // There is room for what it is told first.
    let (mut near, far) = tokio::io::duplex(512);
    let server = tokio::spawn(serve_stream(fixture.store(), "0.0.0-test", far));
    near.write_all(format!("{LISTEN}\n").as_bytes())
        .await
        .unwrap();
    let other = connect(&fixture, Era::Stateless).await;
    let mut listening = other.client.listen(filter(FAILURES)).await.unwrap();
    for _ in 0..3 {
        fixture.commit(&[failure(&fixture, 503)]);
        listening.next().await.unwrap().unwrap();
    }
    drop(near);
    server.await.unwrap().unwrap();
}
