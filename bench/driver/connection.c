/* Sockets, the handshake, and bytes to messages. */
#include "wsload.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BUFFER = 1 << 20 };

void close_connection(struct connection *c, const char *why) {
    if (c->state == DEAD) return;
    if (c->state != READY) die("connection %ld was refused: %s", (long)(c - connections), why);
    close(c->fd);
    c->state = DEAD;
    totals.closed++;
    remember_error(why, strlen(why));
}

static void watch(struct connection *c, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, operation, c->fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

void send_bytes(struct connection *c, const uint8_t *data, size_t length) {
    if (!c->unsent_length) {
        ssize_t n = send(c->fd, data, length, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            close_connection(c, strerror(errno));
            return;
        }
        if (n > 0) {
            totals.sent_bytes += (uint64_t)n;
            data += n;
            length -= (size_t)n;
        }
        if (!length) return;
        watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
    c->unsent = realloc(c->unsent, c->unsent_length + length);
    memcpy(c->unsent + c->unsent_length, data, length);
    c->unsent_length += length;
}

static void on_writable(struct connection *c) {
    size_t length = c->unsent_length;
    uint8_t *data = c->unsent;
    c->unsent_length = 0, c->unsent = NULL;
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
    if (length) send_bytes(c, data, length);
    free(data);
}

void send_message(struct connection *c, int opcode, const uint8_t *payload, size_t length) {
    uint8_t frame[MAX_FRAME];
    send_bytes(c, frame, ws_put(frame, opcode, payload, length));
}

int data_opcode(void) { return options.protocol == PROTO ? OP_BINARY : OP_TEXT; }

void dial(int index) {
    struct connection *c = &connections[index];
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket %d: %s", index, strerror(errno));
    int yes = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (options.sources > 0) {
        /* Linux owns all of 127/8: further addresses give further ports, and pass limits per address. */
        struct sockaddr_in from = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(0x7f000002u + (uint32_t)(index % options.sources))};
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
        if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) die("bind: %s", strerror(errno));
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    inet_pton(AF_INET, options.host, &to.sin_addr);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("connect: %s", strerror(errno));
    c->state = DIALING;
    c->next_id = 3;
    c->slots = calloc((size_t)slot_count, sizeof *c->slots);
    snprintf(c->target, sizeof c->target, "%s%d", options.target, index % options.targets);
    watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

static void ask_upgrade(struct connection *c) {
    char request[4096];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
                     options.path, options.host, options.port);
    if (options.protocol != PLAIN)
        n += snprintf(request + n, sizeof request - (size_t)n, "Sec-WebSocket-Protocol: plaudit.v1.%s\r\n",
                      options.protocol == JSON ? "json" : "proto");
    if (token_count)
        n += snprintf(request + n, sizeof request - (size_t)n, "Authorization: Bearer %s\r\n",
                      tokens[(c - connections) % token_count]);
    n += snprintf(request + n, sizeof request - (size_t)n, "\r\n");
    c->state = UPGRADING;
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
    send_bytes(c, (uint8_t *)request, (size_t)n);
}

static void become_ready(struct connection *c) {
    c->state = READY;
    ready++;
    if (dialed < options.connections) dial(dialed++);
}

void say_next(struct connection *c) {
    uint8_t text[MAX_FRAME];
    if (options.protocol == PLAIN) {
        if (c->state == UPGRADING && options.greeting) {
            c->state = GREETING;
            send_message(c, OP_TEXT, (const uint8_t *)options.greeting, strlen(options.greeting));
        } else become_ready(c);
    } else if (c->state == UPGRADING) {
        c->state = SAYING_HELLO;
        send_message(c, data_opcode(), text, say_hello(options.protocol, text));
    } else if (c->state == SAYING_HELLO && options.topic) {
        char topic[160];
        const char *hole = strstr(options.topic, "{}");
        int before = hole ? (int)(hole - options.topic) : (int)strlen(options.topic);
        int n = snprintf(topic, sizeof topic, "%.*s", before, options.topic);
        if (hole) snprintf(topic + n, sizeof topic - (size_t)n, "%ld%s", (long)(c - connections), hole + 2);
        c->state = SUBSCRIBING;
        send_message(c, data_opcode(), text, say_subscribe(options.protocol, topic, text));
    } else become_ready(c);
}

static void on_readable(struct connection *c) {
    static uint8_t buffer[READ_BUFFER];
    size_t have = c->left_length, used = 0;
    if (have) memcpy(buffer, c->left, have);
    ssize_t n = read(c->fd, buffer + have, READ_BUFFER - 1 - have);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        close_connection(c, n ? strerror(errno) : "end of stream");
        return;
    }
    have += (size_t)n;
    totals.received_bytes += (uint64_t)n;
    buffer[have] = 0;
    uint64_t now = now_ns();
    if (c->state == UPGRADING) {
        char *end = memmem(buffer, have, "\r\n\r\n", 4);
        if (end) {
            if (memcmp(buffer, "HTTP/1.1 101", 12)) close_connection(c, (char *)buffer);
            used = (size_t)((uint8_t *)end + 4 - buffer);
            say_next(c);
        }
    }
    while (c->state != UPGRADING && c->state != DEAD && used < have) {
        struct message message;
        int64_t taken = ws_take(buffer + used, have - used, &message);
        if (taken < 0) {
            close_connection(c, "a masked or fragmented frame");
            return;
        }
        if (!taken) break;
        used += (size_t)taken;
        on_message(c, &message, now);
    }
    c->left_length = have - used;
    if (c->left_length) {
        c->left = realloc(c->left, c->left_length);
        memcpy(c->left, buffer + used, c->left_length);
    }
    if (load.running) issue(c);
}

void on_event(struct connection *c, uint32_t events) {
    if (c->state == DEAD) return;
    if (c->state == DIALING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) die("connect: %s", strerror(error));
        ask_upgrade(c);
        return;
    }
    if (events & EPOLLOUT) on_writable(c);
    if (c->state != DEAD && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(c);
}
