//! Pages put together are the list: each exchange once, in order, while others are being written.

use std::collections::BTreeSet;

use headwater_mcp::Tool;
use serde_json::{Value, json};

use crate::fixture::{Row, SECOND, answer, varied};

#[tokio::test]
async fn each_exchange_comes_once_and_in_order() {
    for order in ["newest", "slowest"] {
        for (limit, max_tokens) in [(7, 8_000), (200, 1_000)] {
            let mut fixture = varied();
            let store = fixture.store();
            let mut given =
                json!({ "since": "-1h", "order": order, "limit": limit, "max_tokens": max_tokens });
            let mut rows: Vec<Value> = Vec::new();
            let mut inserted = 0;
            loop {
                let page = answer(&store, Tool::SearchExchanges, given.clone()).await;
                rows.extend(page["rows"].as_array().unwrap().iter().cloned());
                let Some(cursor) = page["next_cursor"].as_str() else {
                    break;
                };
                assert!(rows.len() < 2_000, "no end");
                given["cursor"] = cursor.into();
                // Newer than the window of the first page.
                inserted += 1;
                let at = fixture.now_ns + (3_600 + inserted) * SECOND;
                fixture.commit(&[Row::at(at, "/inserted")]);
            }
            assert!(inserted > 1, "{inserted} pages");
            let ids: BTreeSet<&str> = rows.iter().map(|row| row[0].as_str().unwrap()).collect();
            assert_eq!((rows.len(), ids.len()), (1_000, 1_000), "{order} {limit}");
            let in_order = rows.windows(2).all(|pair| {
                if order == "newest" {
                    pair[0][1].as_str() >= pair[1][1].as_str()
                } else {
                    pair[0][7].as_f64() >= pair[1][7].as_f64()
                }
            });
            assert!(in_order, "{order} {limit}");
        }
    }
}
