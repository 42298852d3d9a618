/* What wrk cannot do: connections with a handshake of their own each, connections that are held,
   and one connection whose answers are timed one by one. 127.0.0.1 and the name "localhost".

   client handshakes PORT full|resumed 1.2|1.3 THREADS SECONDS [HOSTS]
       Connect, handshake, one GET with Connection: close, read to the end, close, and again. Prints
       how many, in how many seconds, and how many tickets came. Ends with an error when a handshake
       was resumed that should not be, or was not that should. With HOSTS, the names of the first so
       many certificates of make_certs take turns; full ones alone.

   client hold PORT http|https
       For each number read from standard input opens connections with one answered GET each until
       it holds as many, then prints the number; closes them when the input ends.

   client time PORT http|https COUNT
       One GET at a time; prints p50 and p99 in nanoseconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char keep_request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
static const char close_request[] = "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n";

struct connection {
    int fd;
    SSL* ssl; /* null: plain */
};

static void fail(const char* what) {
    fprintf(stderr, "client: %s: %s\n", what, errno ? strerror(errno) : "see below");
    ERR_print_errors_fp(stderr);
    exit(1);
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The newest ticket of this thread's connections, and how many there were. */
static __thread SSL_SESSION* ticket;
static __thread long tickets;

static int keep_ticket(SSL* ssl, SSL_SESSION* session) {
    (void)ssl;
    SSL_SESSION_free(ticket);
    ticket = session;
    tickets++;
    return 1;
}

static SSL_CTX* make_context(int version) {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, version) ||
        !SSL_CTX_set_max_proto_version(context, version) ||
        !SSL_CTX_set1_groups_list(context, "X25519:P-256"))
        fail("SSL_CTX_new");
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_ticket);
    return context;
}

/* `context` null: plain. `session` null: a full handshake. */
static struct connection open_connection(int port, const char* host, SSL_CTX* context,
                                         SSL_SESSION* session) {
    struct connection c = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), NULL};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    if (c.fd < 0 || connect(c.fd, (struct sockaddr*)&to, sizeof to) != 0) fail("connect");
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!context) return c;
    c.ssl = SSL_new(context);
    if (!c.ssl || !SSL_set_fd(c.ssl, c.fd) || !SSL_set_tlsext_host_name(c.ssl, host))
        fail("SSL_new");
    if (session) {
        /* A copy, as OpenSSL resumes a TLS 1.3 session once and the server may send no other. */
        SSL_SESSION* copy = SSL_SESSION_dup(session);
        if (!copy || !SSL_set_session(c.ssl, copy)) fail("SSL_set_session");
        SSL_SESSION_free(copy);
    }
    errno = 0;
    if (SSL_connect(c.ssl) != 1) fail("SSL_connect");
    return c;
}

static void close_connection(struct connection c) {
    if (c.ssl) {
        /* Otherwise OpenSSL takes the session for a broken one and resumes it no more. */
        SSL_set_shutdown(c.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(c.ssl);
    }
    close(c.fd);
}

static void send_all(struct connection c, const char* text, size_t size) {
    errno = 0;
    long n = c.ssl ? SSL_write(c.ssl, text, (int)size) : write(c.fd, text, size);
    if (n != (long)size) fail("write");
}

/* Bytes read, 0 at the end. */
static size_t receive(struct connection c, char* to, size_t size) {
    errno = 0;
    long n = c.ssl ? SSL_read(c.ssl, to, (int)size) : read(c.fd, to, size);
    if (n > 0) return (size_t)n;
    if (c.ssl ? SSL_get_error(c.ssl, (int)n) != SSL_ERROR_ZERO_RETURN : n < 0) fail("read");
    return 0;
}

static void check_status(const char* answer) {
    if (strncmp(answer, "HTTP/1.1 200", 12) == 0) return;
    fprintf(stderr, "client: not answered with 200: %.40s\n", answer);
    exit(1);
}

static void read_to_end(struct connection c) {
    char answer[8192];
    size_t got = receive(c, answer, sizeof answer - 1);
    answer[got] = 0;
    check_status(answer);
    while (receive(c, answer, sizeof answer) > 0)
        continue;
}

/* One answer with Content-Length. */
static void read_answer(struct connection c) {
    char answer[8192];
    for (size_t got = 0;;) {
        size_t n = receive(c, answer + got, sizeof answer - 1 - got);
        got += n;
        answer[got] = 0;
        const char* end = strstr(answer, "\r\n\r\n");
        const char* length = strcasestr(answer, "\r\ncontent-length:");
        if (end && length && got >= (size_t)(end - answer) + 4 + strtoul(length + 17, NULL, 10))
            break;
        if (n == 0 || got == sizeof answer - 1) fail("an answer that does not end");
    }
    check_status(answer);
}

struct handshakes {
    pthread_t thread;
    int port, version, resume;
    double until_s;
    long hosts, first_host; /* 0: "localhost" alone */
    long done, tickets;
};

static void* make_handshakes(void* argument) {
    struct handshakes* h = argument;
    SSL_CTX* context = make_context(h->version);
    char host[64] = "localhost", request[160];
    while (now_s() < h->until_s) {
        int resume = h->resume && ticket;
        if (h->hosts)
            snprintf(host, sizeof host, "www.customer-%06ld.example",
                     (h->first_host + h->done) % h->hosts);
        int size = snprintf(request, sizeof request, close_request, host);
        struct connection c = open_connection(h->port, host, context, resume ? ticket : NULL);
        if (SSL_session_reused(c.ssl) != resume) {
            fprintf(stderr, "client: a handshake was %sresumed\n", resume ? "not " : "");
            exit(1);
        }
        send_all(c, request, (size_t)size);
        read_to_end(c);
        close_connection(c);
        h->done++;
    }
    h->tickets = tickets;
    return NULL;
}

static int handshakes(int port, const char* kind, const char* version, int threads, double seconds,
                      long hosts) {
    struct handshakes all[64] = {0};
    if (threads < 1 || threads > 64) fail("1 to 64 threads");
    double start = now_s();
    long done = 0, all_tickets = 0;
    for (int i = 0; i < threads; i++) {
        all[i].port = port;
        all[i].version = strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
        all[i].resume = strcmp(kind, "resumed") == 0;
        all[i].until_s = start + seconds;
        all[i].hosts = hosts;
        all[i].first_host = hosts * i / threads;
        if (pthread_create(&all[i].thread, NULL, make_handshakes, &all[i]) != 0)
            fail("pthread_create");
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(all[i].thread, NULL);
        done += all[i].done;
        all_tickets += all[i].tickets;
    }
    printf("%ld %.3f %ld\n", done, now_s() - start, all_tickets);
    return 0;
}

static int hold(int port, SSL_CTX* context) {
    static struct connection held[65536];
    long count = 0, wanted;
    while (scanf("%ld", &wanted) == 1 && wanted <= 65536) {
        for (; count < wanted; count++) {
            held[count] = open_connection(port, "localhost", context, NULL);
            send_all(held[count], keep_request, sizeof keep_request - 1);
            read_answer(held[count]);
        }
        printf("%ld\n", count);
        fflush(stdout);
    }
    while (count > 0)
        close_connection(held[--count]);
    return 0;
}

static int ascending(const void* a, const void* b) {
    return (*(const double*)a > *(const double*)b) - (*(const double*)a < *(const double*)b);
}

static int time_answers(int port, SSL_CTX* context, long count) {
    const long warm_up = 1000;
    double* took_s = calloc((size_t)count, sizeof *took_s);
    struct connection c = open_connection(port, "localhost", context, NULL);
    for (long i = -warm_up; i < count; i++) {
        double start = now_s();
        send_all(c, keep_request, sizeof keep_request - 1);
        read_answer(c);
        if (i >= 0) took_s[i] = now_s() - start;
    }
    close_connection(c);
    qsort(took_s, (size_t)count, sizeof *took_s, ascending);
    printf("%.0f %.0f\n", took_s[count / 2] * 1e9, took_s[count * 99 / 100] * 1e9);
    return 0;
}

int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);
    const char* mode = argc > 3 ? argv[1] : "";
    int port = argc > 3 ? atoi(argv[2]) : 0;
    if (strcmp(mode, "handshakes") == 0 && (argc == 7 || argc == 8))
        return handshakes(port, argv[3], argv[4], atoi(argv[5]), atof(argv[6]),
                          argc == 8 ? atol(argv[7]) : 0);
    SSL_CTX* context =
        argc > 3 && strcmp(argv[3], "https") == 0 ? make_context(TLS1_3_VERSION) : NULL;
    if (strcmp(mode, "hold") == 0 && argc == 4) return hold(port, context);
    if (strcmp(mode, "time") == 0 && argc == 5 && atol(argv[4]) > 0)
        return time_answers(port, context, atol(argv[4]));
    fprintf(stderr, "usage: see the head of client.c\n");
    return 2;
}
