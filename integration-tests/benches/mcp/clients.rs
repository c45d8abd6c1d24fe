//! Clients that do as little as they can: one request under way, its answer's bytes looked at and no more.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use headwater_integration_tests::headwater;

use crate::questions::Question;

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Transport {
    /// A process of its own for each client.
    Stdio,
    /// The newest revision: no sessions.
    Http,
    /// The one before: a session each.
    Sessions,
    /// The deprecated HTTP+SSE.
    Sse,
}

impl Transport {
    pub(crate) const ALL: [Self; 4] = [Self::Stdio, Self::Http, Self::Sessions, Self::Sse];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "HTTP",
            Self::Sessions => "HTTP, sessions",
            Self::Sse => "HTTP+SSE",
        }
    }

    fn revision(self) -> &'static str {
        match self {
            Self::Http => "2026-07-28",
            Self::Stdio | Self::Sessions => "2025-11-25",
            Self::Sse => "2024-11-05",
        }
    }
}

/// One client, connected.
pub(crate) struct Client {
    transport: Transport,
    wire: Wire,
    asked: u64,
    answer: Vec<u8>,
}

enum Wire {
    Stdio(Process),
    Http(Connection, Option<String>),
    Sse(BufReader<TcpStream>, Connection, String),
}

const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

impl Client {
    /// Starts a process for itself, or connects to the server at the address.
    pub(crate) fn connect(transport: Transport, db: &Path, server: &str) -> Self {
        let wire = match transport {
            Transport::Stdio => Wire::Stdio(Process::start(db)),
            Transport::Http | Transport::Sessions => Wire::Http(Connection::open(server), None),
            Transport::Sse => {
                let (events, target) = open_stream(server);
                Wire::Sse(events, Connection::open(server), target)
            }
        };
        let mut client = Self {
            transport,
            wire,
            asked: 0,
            answer: Vec::new(),
        };
        if transport != Transport::Http {
            let revision = transport.revision();
            client.send("initialize", "", &format!(
                r#"{{"protocolVersion":"{revision}","capabilities":{{}},"clientInfo":{{"name":"bench","version":"1"}}}}"#
            ));
            client.notify(INITIALIZED);
        }
        client
    }

    /// The process of its own.
    pub(crate) fn pid(&self) -> Option<u32> {
        match &self.wire {
            Wire::Stdio(process) => Some(process.child.id()),
            _ => None,
        }
    }

    /// Asks, and gives the answer as it came.
    pub(crate) fn call(&mut self, question: &Question) -> &[u8] {
        let meta = if self.transport == Transport::Http {
            r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#
        } else {
            ""
        };
        let (tool, arguments) = (question.tool, &question.arguments);
        let parameters = format!(r#"{{"name":"{tool}","arguments":{arguments}{meta}}}"#);
        self.send("tools/call", tool, &parameters)
    }

    fn send(&mut self, method: &str, name: &str, parameters: &str) -> &[u8] {
        self.asked += 1;
        let id = self.asked;
        let message =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{parameters}}}"#);
        self.answer.clear();
        let answer = &mut self.answer;
        match &mut self.wire {
            Wire::Stdio(process) => {
                process.write(&message);
                process.output.read_until(b'\n', answer).unwrap();
            }
            Wire::Http(connection, session) => {
                let headers = of_http(self.transport, session.as_deref(), method, name);
                let begun = connection.post("/mcp", &headers, &message, answer);
                if session.is_none() && self.transport == Transport::Sessions {
                    *session = Some(begun.expect("a session"));
                }
            }
            Wire::Sse(events, posts, target) => {
                posts.post(target, "", &message, answer);
                answer.clear();
                next_event(events, answer);
            }
        }
        answer
    }

    fn notify(&mut self, message: &str) {
        match &mut self.wire {
            Wire::Stdio(process) => process.write(message),
            Wire::Http(connection, session) => {
                let headers = of_http(self.transport, session.as_deref(), "", "");
                connection.post("/mcp", &headers, message, &mut Vec::new());
            }
            Wire::Sse(_, posts, target) => {
                posts.post(target, "", message, &mut Vec::new());
            }
        }
    }
}

fn of_http(transport: Transport, session: Option<&str>, method: &str, name: &str) -> String {
    let revision = transport.revision();
    if transport == Transport::Http {
        return format!(
            "MCP-Protocol-Version: {revision}\r\nMcp-Method: {method}\r\nMcp-Name: {name}\r\n"
        );
    }
    session.map_or_else(String::new, |session| {
        format!("MCP-Protocol-Version: {revision}\r\nMcp-Session-Id: {session}\r\n")
    })
}

/// A server over stdio, which ends with its input.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(db: &Path) -> Self {
        let mut child = Command::new(headwater())
            .arg("--db")
            .arg(db)
            .arg("mcp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn write(&mut self, message: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{message}\n").as_bytes()).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// A connection that is kept.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(server: &str) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Gives the session that the answer names.
    fn post(
        &mut self,
        target: &str,
        headers: &str,
        message: &str,
        answer: &mut Vec<u8>,
    ) -> Option<String> {
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{message}",
            message.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let head = read_head(&mut self.0);
        assert!(head.contains(" 200 ") || head.contains(" 202 "), "{head}");
        let field = |name: &str| {
            head.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        if field("transfer-encoding") == Some("chunked") {
            while self.chunk(answer) {}
        } else if let Some(length) = field("content-length") {
            self.exactly(length.parse().unwrap(), answer);
        }
        field("mcp-session-id").map(str::to_owned)
    }

    fn chunk(&mut self, answer: &mut Vec<u8>) -> bool {
        let length = usize::from_str_radix(read_line(&mut self.0).trim(), 16).unwrap();
        self.exactly(length, answer);
        read_line(&mut self.0);
        length > 0
    }

    fn exactly(&mut self, length: usize, answer: &mut Vec<u8>) {
        let began = answer.len();
        answer.resize(began + length, 0);
        self.0.read_exact(&mut answer[began..]).unwrap();
    }
}

/// The stream of HTTP+SSE, and where messages are posted to. As HTTP/1.0, so that it comes without chunks.
fn open_stream(server: &str) -> (BufReader<TcpStream>, String) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream
        .write_all(b"GET /sse HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        .unwrap();
    let mut events = BufReader::new(stream);
    let head = read_head(&mut events);
    assert!(head.contains(" 200 "), "{head}");
    let mut target = Vec::new();
    next_event(&mut events, &mut target);
    (
        events,
        String::from_utf8(target).unwrap().trim_end().to_owned(),
    )
}

fn next_event(events: &mut BufReader<TcpStream>, answer: &mut Vec<u8>) {
    loop {
        let line = read_line(events);
        if let Some(data) = line.strip_prefix("data: ") {
            answer.extend_from_slice(data.as_bytes());
            return;
        }
    }
}

fn read_head(stream: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let line = read_line(stream);
        head.push_str(&line);
    }
    head
}

fn read_line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    let read = stream.read_line(&mut line).unwrap();
    assert!(read > 0, "the server closed the connection");
    line
}
