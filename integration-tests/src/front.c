/* Takes TLS off, and hands what is in it to a server of HTTP/1 or of HTTP/2 with the client's address (PROXY protocol, version 1).
   Linked with OpenSSL's archive and stripped. Usage: front CERTIFICATE KEY HTTP1_PORT HTTP2_PORT */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static SSL_CTX *context;
static int own_port, backend_ports[2];

static int choose(SSL *session, const unsigned char **out, unsigned char *out_length, const unsigned char *in, unsigned length, void *unused) {
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    (void)session, (void)unused;
    int found = SSL_select_next_proto((unsigned char **)out, out_length, ours, sizeof ours - 1, in, length);
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int send_all(int to, const char *bytes, ssize_t length) {
    while (length > 0) {
        ssize_t sent = write(to, bytes, length);
        if (sent <= 0) return 0;
        bytes += sent, length -= sent;
    }
    return 1;
}

static void pass(SSL *session, int client, int backend) {
    char bytes[16384];
    int client_sends = 1;
    for (;;) {
        struct pollfd both[2] = {{.fd = client_sends ? client : -1, .events = POLLIN}, {.fd = backend, .events = POLLIN}};
        int pending = client_sends && SSL_pending(session);
        if (!pending && poll(both, 2, -1) < 0) return;
        if (pending || both[0].revents) {
            int got = SSL_read(session, bytes, sizeof bytes);
            int error = SSL_get_error(session, got);
            if (got <= 0 && error == SSL_ERROR_ZERO_RETURN) {
                client_sends = 0;
                shutdown(backend, SHUT_WR);
            } else if (got <= 0 && error != SSL_ERROR_WANT_READ) return;
            if (got > 0 && !send_all(backend, bytes, got)) return;
        }
        if (both[1].revents) {
            ssize_t got = read(backend, bytes, sizeof bytes);
            if (got <= 0) {
                SSL_shutdown(session);
                return;
            }
            if (SSL_write(session, bytes, got) <= 0) return;
        }
    }
}

static void *serve(void *given) {
    int client = (int)(long)given, backend = -1;
    SSL *session = SSL_new(context);
    SSL_set_fd(session, client);
    if (SSL_accept(session) == 1) {
        const unsigned char *protocol;
        unsigned length;
        SSL_get0_alpn_selected(session, &protocol, &length);
        struct sockaddr_in peer, to = loopback(backend_ports[length == 2]);
        socklen_t size = sizeof peer;
        char line[96];
        getpeername(client, (struct sockaddr *)&peer, &size);
        snprintf(line, sizeof line, "PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n", ntohs(peer.sin_port), own_port);
        int at_once = 1;
        backend = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(backend, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
        if (connect(backend, (struct sockaddr *)&to, sizeof to) == 0 && send_all(backend, line, strlen(line))) pass(session, client, backend);
    }
    if (backend >= 0) close(backend);
    SSL_free(session);
    close(client);
    return NULL;
}

int main(int count, char **arguments) {
    struct sockaddr_in own = loopback(0);
    socklen_t size = sizeof own;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (count != 5) return 2;
    signal(SIGPIPE, SIG_IGN);
    backend_ports[0] = atoi(arguments[3]), backend_ports[1] = atoi(arguments[4]);
    context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_alpn_select_cb(context, choose, NULL);
    if (SSL_CTX_use_certificate_file(context, arguments[1], SSL_FILETYPE_PEM) != 1 || SSL_CTX_use_PrivateKey_file(context, arguments[2], SSL_FILETYPE_PEM) != 1) return 1;
    if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 256)) return 1;
    getsockname(listener, (struct sockaddr *)&own, &size);
    own_port = ntohs(own.sin_port);
    printf("listening on port %d\n", own_port);
    fflush(stdout);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        pthread_t thread;
        if (client >= 0 && pthread_create(&thread, NULL, serve, (void *)(long)client) == 0) pthread_detach(thread);
    }
}
