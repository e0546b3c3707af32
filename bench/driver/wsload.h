/* What the parts of wsload share. */
#ifndef WSLOAD_H
#define WSLOAD_H

#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "histogram.h"
#include "websocket.h"

enum state { DIALING, UPGRADING, GREETING, SAYING_HELLO, SUBSCRIBING, READY, DEAD };
enum { MAX_FRAME = 2048 };

struct slot {
    uint64_t id, due; /* id 0: free */
    int conversation; /* of a message */
};

struct connection {
    int fd;
    enum state state;
    uint8_t *left, *unsent; /* an incomplete frame; bytes the socket did not take */
    size_t left_length, unsent_length;
    struct slot *slots; /* calls in flight, by id modulo slot_count */
    uint64_t next_id, in_flight;
    uint64_t operations, round_operations; /* toggles ever sent, and in this load */
    uint64_t dues;                         /* toggles due and not sent yet */
    uint64_t acks, frames;                 /* acks ever; pushes since the last report */
    int64_t ack_version, push_version;
    bool on; /* as the ack with the largest version said */
    struct inbox *inbox; /* of messages; NULL without --conversations */
    int greetings;
    char target[160];
};

struct options {
    const char *host, *path, *token_file, *greeting, *topic, *target, *emoji, *conversation_file;
    int port, connections, sources, targets, greetings, cpu, ack_ms, content_bytes;
    enum protocol protocol;
};

struct totals {
    uint64_t acks, errors, doubled, lost, went_back, repeated; /* of calls, and of versions */
    uint64_t frames, bytes, notices, closed, first_ns, last_ns, began_ns;
    double cpu_began;
    uint64_t deliveries, expected, gaps, out_of_order, receipts; /* of messages */
    uint64_t received_bytes, sent_bytes;                         /* of sockets, with the headers of frames */
    struct histogram latency, delivery_latency;
};

struct load {
    bool running, sends; /* messages; otherwise toggles */
    uint64_t began_ns, ends_ns, inflight, scheduled, started, completed;
    double rate; /* operations a second in all; 0: as fast as inflight allows */
};

extern struct options options;
extern struct totals totals;
extern struct load load;
extern struct connection *connections;
extern char **tokens, first_error[512], last_push[4096];
extern int token_count, epoll, dialed, ready, slot_count;

/* wsload.c */
uint64_t now_ns(void);
double cpu_seconds(void);
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* connection.c: sockets, the handshake, bytes to messages */
void dial(int index);
void say_next(struct connection *c); /* the next step towards READY */
void close_connection(struct connection *c, const char *why);
void send_bytes(struct connection *c, const uint8_t *data, size_t length);
void send_message(struct connection *c, int opcode, const uint8_t *payload, size_t length);
int data_opcode(void);
void on_event(struct connection *c, uint32_t events);

/* load.c: what is asked and what comes back */
void start_load(bool sends, double seconds, double rate, uint64_t inflight);
int64_t drive(void); /* issues what is due; returns how long to sleep, in nanoseconds */
void issue(struct connection *c);
void on_message(struct connection *c, const struct message *message, uint64_t now);

/* messages.c: sends to conversations, and their deliveries */
void read_conversations(void);
int next_conversation(struct connection *c);
size_t say_send(const struct connection *c, const struct slot *slot, const char *client_msg_id, uint8_t *out);
void on_sent(const struct slot *slot);
void on_delivery(struct connection *c, const struct message *message, uint64_t now);
void ack_deliveries(uint64_t now); /* of each connection that has some, after options.ack_ms */

/* report.c */
void remember_error(const void *text, size_t length);
void reset_totals(void);
void print_report(const char *event, double offered, double seconds);

#endif
