#!/usr/bin/env python3
"""Makes the captures beside it: one handshake each, on loopback, between OpenSSL's s_server and s_client (and Python).

Needs root, tcpdump, openssl 3, go. `make_captures.py` makes all anew; what the tests expect of dates and keys stands in them.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "captures")
OLD = ["-cipher", "DEFAULT:@SECLEVEL=0"]
FIRST_PORT = 14400


def sh(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, **more)


def certificates(folder):
    def ca(name, subject):
        sh("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{folder}/{name}.key")
        sh("openssl", "req", "-x509", "-new", "-key", f"{folder}/{name}.key", "-days", "36500", "-subj", f"/CN={subject}",
           "-out", f"{folder}/{name}.pem")

    def leaf(name, subject, names, key, dates=("20200101000000Z", "21000101000000Z"), ca="ca"):
        if key == "rsa":
            sh("openssl", "genrsa", "-out", f"{folder}/{name}.key", "2048")
        else:
            sh("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{folder}/{name}.key")
        sh("openssl", "req", "-new", "-key", f"{folder}/{name}.key", "-subj", f"/CN={subject}", "-out", f"{folder}/{name}.csr")
        os.makedirs(f"{folder}/db-{name}", exist_ok=True)
        open(f"{folder}/db-{name}/index", "w").close()
        san = ("subjectAltName=" + ",".join(f"DNS:{one}" for one in names)) if names else "keyUsage=digitalSignature"
        with open(f"{folder}/{name}.cnf", "w") as config:
            config.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/db-{name}/index\nnew_certs_dir={folder}/db-{name}\n"
                         f"rand_serial=yes\ndefault_md=sha256\npolicy=p\nx509_extensions=e\nunique_subject=no\n"
                         f"[p]\ncommonName=supplied\n[e]\n{san}\n")
        signing = ["-selfsign", "-keyfile", f"{folder}/{name}.key"] if ca is None else \
            ["-cert", f"{folder}/{ca}.pem", "-keyfile", f"{folder}/{ca}.key"]
        sh("openssl", "ca", "-batch", "-notext", "-config", f"{folder}/{name}.cnf", "-startdate", dates[0], "-enddate", dates[1],
           "-in", f"{folder}/{name}.csr", "-out", f"{folder}/{name}.pem", *signing)

    ca("ca", "Headwater Test CA")
    ca("other", "Another CA")
    leaf("good", "shop.example.test", ["shop.example.test", "*.api.example.test"], "ec")
    leaf("rsa", "rsa.example.test", ["rsa.example.test"], "rsa")
    leaf("expired", "shop.example.test", ["shop.example.test"], "ec", ("20200101000000Z", "20210101000000Z"))
    leaf("selfsigned", "shop.example.test", ["shop.example.test"], "ec", ca=None)
    leaf("client", "a client", [], "ec")


def wait_for(port):
    # Looks, and does not connect: a connection would be in the capture.
    wanted = f":{port:04X} "
    for _ in range(200):
        for name in ("/proc/net/tcp", "/proc/net/tcp6"):
            with open(name) as lines:
                if any(wanted in line and " 0A " in line for line in lines):
                    return
        time.sleep(0.02)
    sys.exit(f"nobody listens on {port}")


class Maker:
    def __init__(self, folder):
        self.folder, self.port, self.names = folder, FIRST_PORT, {}

    def at(self, name):
        return f"{self.folder}/{name}"

    def server(self, *options, cert="good", accept=1):
        command = ["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-naccept", str(accept), "-cert", self.at(f"{cert}.pem"),
                   "-key", self.at(f"{cert}.key"), "-www", "-quiet", *options]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.port)
        return process

    def client(self, *options, say=b"GET / HTTP/1.0\r\n\r\n", name="shop.example.test", ca="ca", check=True):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-CAfile", self.at(f"{ca}.pem"), "-ign_eof" if say else "-no_ign_eof"]
        command += ["-servername", name] if name else ["-noservername"]
        command += ["-verify_return_error"] if check else []
        subprocess.run([*command, *options], input=say, capture_output=True, timeout=20)

    def case(self, title, server=(), client=(), cert="good", accept=1, **more):
        self.port += 1
        self.names[self.port] = title
        process = self.server(*server, cert=cert, accept=accept)
        clients = client if client and isinstance(client[0], (list, tuple)) else [client]
        for options in clients:
            self.client(*options, **more)
        if process.poll() is None:
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()

    def raw(self, name, act):
        self.port += 1
        self.names[self.port] = name
        act(self)


def cut_hello(maker):
    """A ClientHello, and the end."""
    listener = socket.create_server(("127.0.0.1", maker.port))
    process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{maker.port}", "-servername", "shop.example.test"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    connection, _ = listener.accept()
    connection.recv(4096)
    connection.close()
    process.wait()
    listener.close()


def plain_server(maker):
    listener = socket.create_server(("127.0.0.1", maker.port))
    process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{maker.port}", "-servername", "shop.example.test"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    connection, _ = listener.accept()
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    connection.close()
    process.wait()
    listener.close()


GO = """
package main

import (
	"crypto/tls"
	"os"
)

func main() {
	connection, err := tls.Dial("tcp", os.Args[1], &tls.Config{ServerName: "shop.example.test"})
	if err == nil {
		connection.Close()
	}
}
"""


def go_client(maker):
    """A client whose alert is encrypted: OpenSSL's are not, where it is the certificate that it does not like."""
    with open(maker.at("client.go"), "w") as file:
        file.write(GO)
    sh("go", "build", "-o", maker.at("go-client"), maker.at("client.go"), env={**os.environ, "GOFLAGS": "-mod=mod", "GO111MODULE": "off"})
    process = maker.server()
    sh(maker.at("go-client"), f"127.0.0.1:{maker.port}")
    process.wait()


def main():
    os.makedirs(HERE, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        certificates(folder)
        everything = f"{folder}/all.pcap"
        dump = subprocess.Popen(["tcpdump", "-i", "lo", "-U", "--immediate-mode", "-w", everything, "tcp portrange 14400-14499"],
                                stderr=subprocess.PIPE)
        while b"listening on" not in dump.stderr.readline():
            pass
        maker = Maker(folder)
        chain = ["-cert_chain", f"{folder}/ca.pem"]
        both = ["-alpn", "h2,http/1.1"]
        maker.case("tls13", ["-alpn", "http/1.1", *chain], both)
        maker.case("tls12", ["-alpn", "http/1.1", *chain], ["-tls1_2", *both])
        maker.case("tls12-rsa", [], ["-tls1_2"], cert="rsa", name="www.example.test")
        maker.case("tls11", [*OLD], ["-tls1_1", *OLD], name=None)
        session = f"{folder}/session"
        maker.case("tls12-resumed", ["-no_ticket"], [["-tls1_2", "-sess_out", session], ["-tls1_2", "-sess_in", session]], accept=2)
        maker.case("tls12-ticket", [], [["-tls1_2", "-sess_out", session], ["-tls1_2", "-sess_in", session]], accept=2)
        maker.case("tls13-resumed", [], [["-sess_out", session], ["-sess_in", session]], accept=2)
        maker.case("tls13-retried", ["-groups", "P-384"], ["-groups", "X25519:P-384"])
        maker.case("tls13-unknown-ca", [], [], ca="other")
        maker.case("tls12-unknown-ca", [], ["-tls1_2"], ca="other")
        maker.case("tls12-expired", [], ["-tls1_2"], cert="expired")
        maker.case("tls12-self-signed", [], ["-tls1_2"], cert="selfsigned")
        maker.case("tls12-wrong-name", [], ["-tls1_2", "-verify_hostname", "other.example.test"], name="other.example.test")
        maker.case("protocol-version", ["-tls1_3"], ["-tls1_2"])
        maker.case("no-shared-cipher", ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], ["-tls1_2"])
        maker.case("no-alpn", ["-alpn", "h2"], ["-alpn", "spdy/3"])
        maker.case("unrecognized-name", ["-servername", "else.example.test", "-servername_fatal", "-cert2", f"{folder}/good.pem",
                                         "-key2", f"{folder}/good.key"], [])
        maker.case("tls13-client-certificate-missing", ["-Verify", "1", "-verify_return_error", "-CAfile", f"{folder}/ca.pem"], [])
        maker.case("tls12-client-certificate-missing", ["-Verify", "1", "-verify_return_error", "-CAfile", f"{folder}/ca.pem"], ["-tls1_2"])
        maker.case("tls12-client-certificate", ["-Verify", "1", "-CAfile", f"{folder}/ca.pem"],
                   ["-tls1_2", "-cert", f"{folder}/client.pem", "-key", f"{folder}/client.key"])
        maker.case("tls13-no-data", [], [], say=b"")
        maker.case("tls12-no-data", [], ["-tls1_2"], say=b"")
        maker.raw("cut", cut_hello)
        maker.raw("plain-server", plain_server)
        maker.raw("tls13-unknown-ca-encrypted", go_client)
        time.sleep(0.5)
        dump.send_signal(signal.SIGINT)
        dump.wait()
        for port, name in maker.names.items():
            with open(os.path.join(HERE, f"{name}.pcap"), "wb") as file:
                file.write(sh("tcpdump", "-r", everything, "-w", "-", f"tcp port {port}").stdout)


main()
