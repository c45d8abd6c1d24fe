//! An exchange of DNS.

use headwater_query::rfc3339;

use super::{FACTS, without_cursor};
use crate::{
    Arguments, Output,
    budget::squeeze,
    escape::value,
    tools::{Asking, ToolError, milliseconds, search_exchanges::dns::addresses},
};

pub(super) async fn answer(
    id: &str,
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    without_cursor(arguments)?;
    if arguments.has("header") {
        let said = "header: DNS has none; leave it out, the whole exchange is told";
        return Err(ToolError::Steer(said.to_owned()));
    }
    let answer = asking.store.dns_exchange(id, asking.cancel).await?;
    let mut output = Output::framed(&answer, "");
    let exchange = &answer.value;
    let aliases: Vec<String> = exchange.aliases.iter().map(|alias| value(alias)).collect();
    let aliases = (!aliases.is_empty()).then(|| aliases.join(" "));
    output.tell(FACTS, "id", exchange.id.as_str());
    output.tell(FACTS, "outcome", exchange.outcome);
    output.tell(FACTS, "dns.name", exchange.name.as_deref().map(value));
    output.tell(FACTS, "dns.type", exchange.kind.as_deref());
    output.tell(FACTS, "dns.rcode", exchange.rcode.as_deref());
    output.tell(FACTS, "dns.icmp", exchange.icmp.as_deref());
    output.tell(FACTS, "dns.addresses", addresses(exchange));
    output.tell(FACTS, "dns.aliases", aliases);
    output.tell(FACTS, "dns.ttl_s", exchange.minimum_ttl_s);
    output.tell(FACTS, "start", rfc3339(exchange.start_ns));
    output.tell(FACTS, "timing.wait_ms", milliseconds(exchange.latency_ns));
    output.tell(FACTS, "dns.retries", exchange.retries);
    output.tell(FACTS, "dns.truncated", exchange.truncated);
    output.tell(FACTS, "dns.transport", exchange.transport);
    output.tell(FACTS, "dns.class", exchange.class.as_deref());
    output.tell(FACTS, "connection.id", exchange.connection_id.as_deref());
    output.tell(FACTS, "client.service", value(&exchange.client));
    output.tell(FACTS, "client.address", exchange.client_address.as_str());
    output.tell(FACTS, "client.pid", exchange.client_pid);
    output.tell(
        FACTS,
        "client.process_evidence",
        exchange.client_evidence.as_str(),
    );
    output.tell(FACTS, "server.service", value(&exchange.server));
    output.tell(FACTS, "server.address", exchange.server_address.as_str());
    Ok(squeeze(output, arguments.max_tokens()))
}
