//! A program with both ends of rustls in itself, for the test that looks into it.
#![allow(clippy::print_stdout, reason = "it is what an example does")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use rustls::server::ResolvesServerCertUsingSni;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(role), Some(address)) = (arguments.next(), arguments.next()) else {
        println!("usage: rustls_program client|server ADDRESS");
        return Ok(());
    };
    let provider = Arc::new(default_provider());
    let stream = TcpStream::connect(address)?;
    let mut bytes = [0; 64];
    if role == "client" {
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = ServerName::try_from("localhost")?;
        let session = ClientConnection::new(Arc::new(config), name)?;
        let mut stream = StreamOwned::new(session, stream);
        stream.write_all(b"hello")?;
        println!("{}", stream.read(&mut bytes)?);
    } else {
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        let session = ServerConnection::new(Arc::new(config))?;
        let mut stream = StreamOwned::new(session, stream);
        println!("{}", stream.read(&mut bytes)?);
        stream.write_all(b"hello")?;
    }
    Ok(())
}
