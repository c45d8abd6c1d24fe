//! What is offered for arguments of prompts and variables of templates.

use headwater_query::Store;
use rmcp::{
    RoleClient,
    model::{
        ArgumentInfo, ClientConfig, CompleteRequestParams, CompletionContext, CompletionInfo,
        Reference,
    },
    service::RunningService,
};

use crate::client::{Era, connect};
use crate::fixture::{Fixture, Row, SECOND};

type Client = RunningService<RoleClient, ClientConfig>;

/// Prompts with their arguments, and what of each is offered in the store below when nothing is typed yet.
const OFFERED: [(&str, &str, &[&str]); 16] = [
    ("audit_session", "id", &["x_k7q22"]),
    ("explain_latency_change", "service", SERVICES),
    ("explain_latency_change", "route", &["/items/{}"]),
    ("explain_latency_change", "since", TIMES),
    ("first_look", "since", TIMES),
    ("investigate_error", "symptom", &[]),
    ("investigate_error", "service", SERVICES),
    ("investigate_error", "route", &["/items/{}"]),
    ("investigate_error", "since", TIMES),
    ("trace_transaction", "id", &["x_k7q22"]),
    ("trace_transaction", "header", &["accept"]),
    ("what_did_my_command_cause", "command", &["curl"]),
    ("what_did_my_command_cause", "since", TIMES),
    ("headwater://exchange/{id}", "id", &["x_k7q22", "d_k7q21"]),
    ("headwater://transaction/{id}", "id", &["x_k7q22"]),
    ("headwater://connection/{id}", "id", &[]),
];
const SERVICES: &[&str] = &["nginx.service:80", "api.example.com:443"];
const TIMES: &[&str] = &[
    "-5m",
    "-10m",
    "-15m",
    "-30m",
    "-1h",
    "-2h",
    "-6h",
    "-12h",
    "-1d",
    "-7d",
    "later",
    "before-deploy",
];

fn recorded() -> Fixture {
    let mut fixture = Fixture::new();
    let mut failed = Row::at(fixture.now_ns - 5 * SECOND, "/two");
    failed.status = 502;
    fixture.commit(&[Row::at(fixture.now_ns - 6 * SECOND, "/one"), failed]);
    fixture.dns(1, "nowhere.example", Some(3));
    let marks = "1700000000000 before-deploy\n1700000001000 later\n1700000002000 ignore all\n";
    std::fs::write(format!("{}-marks", fixture.path.display()), marks).unwrap();
    fixture
}

pub(crate) fn reference(named: &str) -> Reference {
    if named.contains(':') {
        Reference::for_resource(named)
    } else {
        Reference::for_prompt(named)
    }
}

pub(crate) async fn complete(
    client: &Client,
    (named, argument, value): (&str, &str, &str),
) -> Result<CompletionInfo, String> {
    let argument = ArgumentInfo::new(argument, value);
    let request = CompleteRequestParams::new(reference(named), argument);
    let result = client.complete(request).await;
    result
        .map(|result| result.completion)
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn every_argument_is_completed_in_both_eras() {
    let fixture = recorded();
    for era in [Era::Initialize, Era::Stateless] {
        let client = connect(fixture.store(), era).await;
        let told = serde_json::to_value(&client.peer_info().unwrap().capabilities).unwrap();
        assert!(told.get("completions").is_some(), "{told}");
        for (named, argument, expected) in OFFERED {
            let offered = complete(&client, (named, argument, "")).await.unwrap();
            assert_eq!(offered.values, expected, "{era:?} {named} {argument}");
            assert_eq!(
                offered.total_available(),
                u32::try_from(expected.len()).ok()
            );
            assert!(!offered.has_more_results());
        }
        // And there are no others.
        let prompts = client.list_all_prompts().await.unwrap();
        let arguments: usize = prompts
            .iter()
            .flat_map(|prompt| &prompt.arguments)
            .map(Vec::len)
            .sum();
        let of_prompts = OFFERED.iter().filter(|(named, ..)| !named.contains(':'));
        assert_eq!(arguments, of_prompts.count());
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_typed_is_a_beginning_in_any_case() {
    let fixture = recorded();
    let client = connect(fixture.store(), Era::Stateless).await;
    for (named, argument, typed, expected) in [
        (
            "investigate_error",
            "service",
            "NGI",
            &["nginx.service:80"][..],
        ),
        ("investigate_error", "service", "service", &[]),
        (
            "investigate_error",
            "since",
            "1",
            &["-10m", "-15m", "-1h", "-12h", "-1d"],
        ),
        ("investigate_error", "since", "-1H", &["-1h"]),
        ("investigate_error", "since", "Before", &["before-deploy"]),
        ("trace_transaction", "header", "ACC", &["accept"]),
        ("headwater://exchange/{id}", "id", "d_", &["d_k7q21"]),
    ] {
        let offered = complete(&client, (named, argument, typed)).await.unwrap();
        assert_eq!(offered.values, expected, "{argument} {typed}");
    }
    // Of routes, those of the service that was chosen.
    for (service, count) in [("nginx", 1), ("api.example.com:443", 0)] {
        let chosen = [("service".to_owned(), service.to_owned())];
        let request = CompleteRequestParams::new(
            reference("investigate_error"),
            ArgumentInfo::new("route", "/"),
        )
        .with_context(CompletionContext::with_arguments(chosen.into()));
        let offered = client.complete(request).await.unwrap().completion;
        assert_eq!(offered.values.len(), count, "{service}");
    }
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn more_than_a_hundred_are_told_to_be_more() {
    let fixture = recorded();
    for number in 0..130 {
        fixture.service(
            100 + number,
            &format!("many-{number:03}"),
            &format!("/many/{number:03}"),
        );
    }
    let client = connect(fixture.store(), Era::Initialize).await;
    for (argument, typed, total) in [
        ("service", "many", 130),
        ("route", "", 131),
        ("service", "many-00", 10),
    ] {
        let offered = complete(&client, ("investigate_error", argument, typed))
            .await
            .unwrap();
        assert_eq!(offered.values.len(), usize::min(100, total), "{argument}");
        assert_eq!(offered.total_available(), u32::try_from(total).ok());
        assert_eq!(offered.has_more_results(), total > 100);
        assert!(
            argument != "route" || offered.values[0] == "/items/{}",
            "what is used comes first"
        );
    }
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_completed_is_told_without_saying_it_back() {
    let fixture = recorded();
    for era in [Era::Initialize, Era::Stateless] {
        let client = connect(fixture.store(), era).await;
        for (named, argument, words) in [
            ("canary", "since", "the prompts are audit_session"),
            ("first_look", "canary", "first_look takes since"),
            ("headwater://canary/{id}", "id", "headwater://exchange/{id}"),
            ("headwater://exchange/{id}", "canary", "takes id"),
            ("headwater://coverage", "id", "the templates are"),
            ("canary://", "id", "the templates are"),
        ] {
            let error = complete(&client, (named, argument, "canary"))
                .await
                .unwrap_err();
            assert!(
                error.contains("-32602") && error.contains(words),
                "{named}: {error}"
            );
            assert!(!error.contains("canary"), "{error}");
        }
        let long = "canary".repeat(50);
        let error = complete(&client, ("first_look", "since", &long))
            .await
            .unwrap_err();
        assert!(
            error.contains("256 bytes") && !error.contains("canary"),
            "{error}"
        );
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn without_a_store_nothing_is_offered() {
    let folder = tempfile::tempdir().unwrap();
    let client = connect(Store::new(&folder.path().join("none.db")), Era::Stateless).await;
    for (named, argument, _) in OFFERED {
        let offered = complete(&client, (named, argument, "x")).await.unwrap();
        assert_eq!((offered.values, offered.total), (vec![], Some(0)));
    }
    let times = complete(&client, ("first_look", "since", "-"))
        .await
        .unwrap();
    assert_eq!(times.values.len(), 10);
    client.cancel().await.unwrap();
}
