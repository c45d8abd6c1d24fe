//! Clients that ask a server as `Nginx::start_sized` is, each with a TLS library of its own, and servers that answer so.

use std::process::Command;

use headwater_integration_tests::{Scratch, said};

/// Sixteen at a time over `http.client`, which reads and writes by `SSL_read_ex` and `SSL_write_ex`; every answer is
/// looked at.
pub(crate) const PYTHON: &str = r#"
import http.client, ssl, sys, threading
count, port, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
context = ssl._create_unverified_context()
wrong = []
def client(thread):
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
    for k in range(thread, count, 16):
        if k % 50 == 49: connection.close()
        connection.request("GET", ("/large/" if k % 10 == 5 else "/small/") + f"{name}-{k}", headers={"x-marker": f"{name}-{k}"})
        response = connection.getresponse()
        body = response.read()
        if response.status != 200 or len(body) != (1 << 20 if k % 10 == 5 else 6): wrong.append(k)
    connection.close()
threads = [threading.Thread(target=client, args=(i,)) for i in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not wrong, wrong
"#;

/// The same with asyncio, whose TLS has no socket of its own but a buffer in memory.
pub(crate) const AIOHTTP: &str = r#"
import asyncio, aiohttp, ssl, sys
count, port, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
async def main():
    connector = aiohttp.TCPConnector(ssl=ssl._create_unverified_context(), limit=16)
    async with aiohttp.ClientSession(connector=connector) as session:
        numbers = iter(range(count))
        async def client():
            for k in numbers:
                path = ("/large/" if k % 10 == 5 else "/small/") + f"{name}-{k}"
                async with session.get(f"https://127.0.0.1:{port}{path}") as response:
                    body = await response.read()
                    assert response.status == 200 and len(body) == (1 << 20 if k % 10 == 5 else 6), (k, response.status, len(body))
        await asyncio.gather(*[client() for _ in range(16)])
asyncio.run(main())
"#;

/// The same in Node, all on one thread.
pub(crate) const NODE: &str = r"
const https = require('https');
const [count, port, name] = [+process.argv[1], +process.argv[2], process.argv[3]];
const agent = new https.Agent({ keepAlive: true, maxSockets: 16, rejectUnauthorized: false });
let next = 0, done = 0;
function one() {
  if (next >= count) return;
  const k = next++, large = k % 10 == 5;
  https.get({ host: '127.0.0.1', port, path: (large ? '/large/' : '/small/') + name + '-' + k, agent }, response => {
    let length = 0;
    response.on('data', data => length += data.length);
    response.on('end', () => {
      if (response.statusCode != 200 || length != (large ? 1 << 20 : 6)) throw new Error(k + ': ' + length);
      if (++done == count) agent.destroy(); else one();
    });
  });
}
for (let i = 0; i < 16; i++) one();
";

/// The same in Go, over HTTP/1 or HTTP/2.
pub(crate) const GO: &str = r#"
package main
import ("crypto/tls"; "fmt"; "io"; "net/http"; "os"; "strconv"; "sync")
func main() {
  count, _ := strconv.Atoi(os.Args[1])
  port, name, version := os.Args[2], os.Args[3], os.Args[4]
  transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: version == "2", MaxIdleConnsPerHost: 16}
  if version != "2" { transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{} }
  client, numbers := &http.Client{Transport: transport}, make(chan int)
  var group sync.WaitGroup
  for i := 0; i < 16; i++ {
    group.Add(1)
    go func() {
      defer group.Done()
      for k := range numbers {
        path, wanted := "/small/", 6
        if k%10 == 5 { path, wanted = "/large/", 1<<20 }
        response, err := client.Get(fmt.Sprintf("https://127.0.0.1:%s%s%s-%d", port, path, name, k))
        if err != nil { panic(err) }
        length, err := io.Copy(io.Discard, response.Body)
        response.Body.Close()
        if err != nil || response.StatusCode != 200 || length != int64(wanted) { panic(fmt.Sprint(k, response.StatusCode, length, err)) }
      }
    }()
  }
  for k := 0; k < count; k++ { numbers <- k }
  close(numbers)
  group.Wait()
}
"#;

/// Servers of the same, over HTTP/1 and HTTP/2, which log each request's path with the client's port.
pub(crate) const NODE_SERVER: &str = r"
const fs = require('fs'), [certificate, key, log] = process.argv.slice(1), large = Buffer.alloc(1 << 20, 'x');
const options = { cert: fs.readFileSync(certificate), key: fs.readFileSync(key), allowHTTP1: true };
const server = require('http2').createSecureServer(options, (request, response) => {
  fs.appendFileSync(log, `${request.url} ${request.socket.remotePort}\n`);
  response.end(request.url.startsWith('/large/') ? large : 'hello\n');
});
server.listen(0, '127.0.0.1', () => console.log('listening on port ' + server.address().port));
";

pub(crate) const GO_SERVER: &str = r#"
package main
import ("bytes"; "fmt"; "net"; "net/http"; "os"; "strings"; "sync")
func main() {
  log, err := os.Create(os.Args[3])
  if err != nil { panic(err) }
  var lock sync.Mutex
  large := bytes.Repeat([]byte("x"), 1<<20)
  listener, err := net.Listen("tcp", "127.0.0.1:0")
  if err != nil { panic(err) }
  fmt.Println("listening on port", listener.Addr().(*net.TCPAddr).Port)
  panic(http.ServeTLS(listener, http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
    _, port, _ := net.SplitHostPort(request.RemoteAddr)
    lock.Lock()
    fmt.Fprintln(log, request.URL.Path, port)
    lock.Unlock()
    if strings.HasPrefix(request.URL.Path, "/large/") { answer.Write(large) } else { answer.Write([]byte("hello\n")) }
  }), os.Args[1], os.Args[2]))
}
"#;

/// A program of Go, built without symbols.
pub(crate) fn go(scratch: &Scratch) -> std::path::PathBuf {
    go_program(scratch, "go-client", GO)
}

pub(crate) fn go_program(scratch: &Scratch, name: &str, text: &str) -> std::path::PathBuf {
    let (source, program) = (
        scratch.write(&format!("{name}.go"), text),
        scratch.file(name),
    );
    said(
        Command::new("go")
            .env("GOFLAGS", "-mod=mod")
            .env("GO111MODULE", "off")
            .args(["build", "-ldflags", "-s -w", "-o"])
            .arg(&program)
            .arg(source),
    );
    program
}

/// A program of Rust's, built for release.
pub(crate) fn rust() -> std::path::PathBuf {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    // Where the tests of `headwater-sites` build it too.
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("rustls/release");
    said(
        Command::new(env!("CARGO"))
            .current_dir(workspace)
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_INCREMENTAL", "0")
            .env_remove("RUSTFLAGS")
            .args(["build", "--release", "--locked", "-p", "headwater-sites"])
            .args(["--example", "rustls_program"]),
    );
    target.join("release/examples/rustls_program")
}

/// A client of reqwest and a server of axum.
pub(crate) fn rust_web() -> std::path::PathBuf {
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("rust-web");
    said(
        Command::new(env!("CARGO"))
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_INCREMENTAL", "0")
            .env_remove("RUSTFLAGS")
            .args(["build", "--release", "--locked", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/rust-web/Cargo.toml")),
    );
    target.join("release/rust-web")
}

pub(crate) fn script(program: impl AsRef<std::ffi::OsStr>, flag: &str, text: &str) -> Command {
    let mut command = Command::new(program);
    command.args([flag, text]);
    command
}

/// reqwest asks as the programs above do; its version of HTTP is the last argument.
pub(crate) fn asking_rust(
    program: &std::path::Path,
    version: &str,
) -> impl Fn(usize, u16, &str) -> Command {
    move |count, port, name| {
        let mut command = Command::new(program);
        with(command.arg("client"), count, port, name).arg(version);
        command
    }
}

pub(crate) fn with<'c>(
    command: &'c mut Command,
    count: usize,
    port: u16,
    name: &str,
) -> &'c mut Command {
    command.args([&count.to_string(), &port.to_string(), name])
}
