//! A program with both ends of rustls in itself: for the test that looks into it, and for the one that reads what it says.
#![allow(clippy::print_stdout, reason = "it is what an example does")]

use std::error::Error;
use std::io::{BufRead, BufReader, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, ServerConnection,
    SignatureScheme, StreamOwned,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["client", address, count, name] => client(address, count.parse()?, name),
        ["server", address, certificate, key] => server(address, certificate, key),
        _ => {
            println!(
                "usage: rustls_program client ADDRESS COUNT NAME | server ADDRESS CERTIFICATE KEY"
            );
            Ok(())
        }
    }
}

/// Asks for `/small/NAME-0` and so on, each request in two slices, and `/large/…` for every tenth, over one connection.
fn client(address: &str, count: usize, name: &str) -> Result<(), Box<dyn Error>> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?;
    let mut stream = BufReader::new(StreamOwned::new(session, TcpStream::connect(address)?));
    for number in 0..count {
        let folder = if number % 10 == 5 { "large" } else { "small" };
        let line = format!("GET /{folder}/{name}-{number} HTTP/1.1\r\n");
        let fields = "Host: localhost\r\n\r\n";
        let slices = [
            IoSlice::new(line.as_bytes()),
            IoSlice::new(fields.as_bytes()),
        ];
        let StreamOwned { conn, sock } = stream.get_mut();
        if conn.is_handshaking() {
            conn.complete_io(sock)?;
        }
        let written = conn.writer().write_vectored(&slices)?;
        conn.complete_io(sock)?;
        if written != line.len() + fields.len() {
            return Err("the request was taken in part".into());
        }
        let length = read_head(&mut stream)?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
    }
    Ok(())
}

/// Answers each request of each connection with six bytes.
fn server(address: &str, certificate: &str, key: &str) -> Result<(), Box<dyn Error>> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(certificate)?],
            PrivateKeyDer::from_pem_file(key)?,
        )?;
    let config = Arc::new(config);
    let listener = TcpListener::bind(address)?;
    println!("listening on port {}", listener.local_addr()?.port());
    for stream in listener.incoming() {
        let session = ServerConnection::new(Arc::clone(&config))?;
        let mut stream = BufReader::new(StreamOwned::new(session, stream?));
        std::thread::spawn(move || {
            while read_head(&mut stream).is_ok() {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
                if stream.get_mut().write_all(answer).is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}

/// Reads a head, and gives the length of the body behind it.
fn read_head(stream: &mut impl BufRead) -> Result<usize, Box<dyn Error>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err("the end came within a head".into());
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
        if line == "\r\n" {
            return Ok(length);
        }
    }
}

/// Takes any certificate: this is a test on one machine.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
