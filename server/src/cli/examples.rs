//! The examples that `--help` ends with.

pub(super) const RECORD: &str = "Examples:
  sudo headwater record                              record until Ctrl-C
  sudo headwater record --except-port 5432           all but what goes to that port
  sudo headwater record --keep-header x-request-id   with this header's values readable
  sudo headwater record --max-age 2d --max-size 4GiB --group adm";

pub(super) const MCP: &str = "Examples:
  headwater mcp                                      as the command of an MCP server in a client's configuration
  headwater mcp install --client claude              puts it there
  headwater --db /tmp/capture.db mcp                 on a store of your own";

pub(super) const INSTALL: &str = "Examples:
  headwater mcp install --client claude              for Claude Code, in every folder
  headwater mcp install --client vscode --scope project   in this folder's .vscode/mcp.json
  headwater mcp install --client codex --print       only show what to paste
  headwater mcp install --client cursor --url http://127.0.0.1:7171/mcp   to ask a running `headwater serve`
  headwater --db /tmp/capture.db mcp install --client gemini --name capture";

pub(super) const SERVE: &str = "Examples:
  headwater serve                                    http://127.0.0.1:7171/mcp, and /ui for people
  headwater serve --listen 127.0.0.1:8080            on another port";

pub(super) const UP: &str = "Examples:
  sudo headwater up                                  record this machine and serve MCP on 127.0.0.1:7171
  sudo headwater up --listen 127.0.0.1:8080 --except-port 5432";

pub(super) const RUN: &str = "Examples:
  sudo headwater run -- npm test                     what did my tests cause on the wire?
  headwater run -- curl -s http://127.0.0.1:8080/    beside a running recorder: no sudo
  sudo headwater run --json caused.json -- ./job     and the summary for a program to read";

pub(super) const PACKETS: &str = "Examples:
  sudo headwater packets --filter 'tcp port 443 and syn'        who opens connections, with which options
  sudo headwater packets --filter 'host 10.0.0.7' --for 1m --pcapng out.pcapng
  sudo headwater packets --filter 'program nginx and not port 22' --count 100 --json";

pub(super) const REPLAY: &str = "Examples:
  headwater --db /tmp/capture.db replay a.pcap b.pcapng
  headwater --db /tmp/capture.db search-exchanges --since 2026-01-31T00:00:00Z";

pub(super) const DOCTOR: &str = "Examples:
  headwater doctor                                   as the user who will read
  sudo headwater doctor --json                       as the user who will record, for a program to read";

/// Those of a tool's subcommand.
pub(super) fn of_tool(subcommand: &str) -> &'static str {
    match subcommand {
        "compare" => {
            "Examples:
  headwater compare --since before-deploy            after a mark, with the time before it
  headwater compare --since -10m                     the last ten minutes, with the ten before
  headwater compare --since -1h --baseline-since -25h --baseline-until -24h   with the same hour of yesterday"
        }
        "explain-failure" => {
            "Examples:
  headwater explain-failure x_9qv53                  an example of find-errors
  headwater explain-failure order-4711 --json        by an id that the request carried"
        }
        "find-errors" => {
            "Examples:
  headwater find-errors                              of the last 15 minutes
  headwater find-errors --since -2h --service api    of one service
  headwater find-errors --without-client-errors      without 4xx and names that do not exist"
        }
        "get-connection" => {
            "Examples:
  headwater get-connection c_9qv53                   as a story, with the header elements of both directions
  headwater get-connection c_9qv53 --json"
        }
        "get-exchange" => {
            "Examples:
  headwater get-exchange x_9qv53
  headwater get-exchange x_9qv53 --header set-cookie one long value whole
  headwater get-exchange x_9qv53 --json"
        }
        "get-session" => {
            "Examples:
  headwater get-session 8f14e45fceea167a             by the plain value of a session's cookie, token or key
  headwater get-session x_9qv53                      by an exchange that carries one"
        }
        "list-services" => {
            "Examples:
  headwater list-services --since -1h                who calls whom, how often and how fast
  headwater list-services --service api --by-route   by method and route"
        }
        "mark" => {
            "Examples:
  headwater mark before-deploy                       name this moment
  headwater mark incident --at -20m                  name an earlier one
  headwater mark                                     list the marks"
        }
        "query-sql" => {
            "Examples:
  headwater query-sql                                the views and their columns
  headwater query-sql \"SELECT server, COUNT(*) FROM exchanges WHERE error IS NOT NULL GROUP BY 1\" --since -1h"
        }
        "search-exchanges" => {
            "Examples:
  headwater search-exchanges --status 5xx --since -1h
  headwater search-exchanges --service api --path /orders --order slowest
  headwater search-exchanges --header-name x-request-id --header-value 7f3a
  headwater search-exchanges --protocol dns --path example.com --outcome failed
  headwater search-exchanges --wait-s 25 --path /checkout   wait for the next one"
        }
        "status" => {
            "Examples:
  headwater status                                   what is recorded, since when, and what cannot be seen
  headwater status --json"
        }
        "trace-transaction" => {
            "Examples:
  headwater trace-transaction x_9qv53                what caused that exchange, and what it caused
  headwater trace-transaction 4bf92f3577b34da6a3ce929d0e0e4736   a trace id, in any format
  headwater trace-transaction order-4711 --json      an id that requests carried"
        }
        _ => "",
    }
}
