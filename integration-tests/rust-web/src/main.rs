//! Both ends as Rust's web programs are made: reqwest asks, axum answers over hyper and tokio-rustls.

use std::error::Error;
use std::io::Write;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, body::Bytes, extract::Path, routing::get};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    default_provider()
        .install_default()
        .map_err(|_| "another provider is there")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["client", count, port, name, version] => client(count.parse()?, port, name, version).await,
        ["server", certificate, key, log] => server(certificate, key, log).await,
        _ => Err("usage: rust-web client COUNT PORT NAME 1|2 | server CERTIFICATE KEY LOG".into()),
    }
}

/// Asks for `/small/NAME-0` and so on, and `/large/…` for every tenth, sixteen at a time; looks at every answer.
async fn client(count: usize, port: &str, name: &str, version: &str) -> Result<(), Failure> {
    let builder = reqwest::Client::builder().danger_accept_invalid_certs(true);
    let client = if version == "1" {
        builder.http1_only().build()?
    } else {
        builder.build()?
    };
    let next = Arc::new(AtomicUsize::new(0));
    let tasks = (0..16).map(|_| {
        let (client, next) = (client.clone(), Arc::clone(&next));
        let start = format!("https://127.0.0.1:{port}");
        let name = name.to_owned();
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<(), Failure>(());
                }
                let (folder, expected) = if number % 10 == 5 {
                    ("large", 1 << 20)
                } else {
                    ("small", 6)
                };
                let url = format!("{start}/{folder}/{name}-{number}");
                let answer = client.get(&url).send().await?.error_for_status()?;
                let length = answer.bytes().await?.len();
                if length != expected {
                    return Err(format!("{url}: {length} bytes").into());
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(())
}

/// Answers over HTTP/1 and HTTP/2, and logs the path of each request with the client's port.
async fn server(certificate: &str, key: &str, log: &str) -> Result<(), Failure> {
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(certificate)?],
            PrivateKeyDer::from_pem_file(key)?,
        )?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let log = Arc::new(Mutex::new(std::fs::File::create(log)?));
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on port {}", listener.local_addr()?.port());
    loop {
        let (stream, peer) = listener.accept().await?;
        let (acceptor, large) = (acceptor.clone(), large.clone());
        let note = {
            let log = Arc::clone(&log);
            move |folder: &str, name: &str| {
                let line = format!("/{folder}/{name} {}\n", peer.port());
                if let Ok(mut log) = log.lock() {
                    let _ = log.write_all(line.as_bytes());
                }
            }
        };
        let also = note.clone();
        let router = Router::new()
            .route(
                "/small/{name}",
                get(async move |Path(name): Path<String>| {
                    note("small", &name);
                    "hello\n"
                }),
            )
            .route(
                "/large/{name}",
                get(async move |Path(name): Path<String>| {
                    also("large", &name);
                    large
                }),
            );
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
                .await;
        });
    }
}
