/* What is asked and what comes back: toggles or messages, acks, pushes. */
#include "wsload.h"

#include <time.h>

enum { GRACE_SECONDS = 10 };

static uint64_t due_of(const struct connection *c) {
    if (load.rate <= 0) return now_ns();
    uint64_t i = (uint64_t)(c - connections) + c->round_operations * (uint64_t)options.connections;
    return load.began_ns + (uint64_t)((double)i / load.rate * 1e9);
}

/* A UUIDv7, as Plaudit's clients make them; instead of random bits it has the connection and the operation. */
static void make_op_id(char text[37], const struct connection *c) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t millis = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    snprintf(text, 37, "%08x-%04x-7000-8000-%04x%08x", (uint32_t)(millis >> 16), (uint16_t)millis,
             (uint16_t)(c - connections), (uint32_t)c->operations);
}

/* Sends what the connection owes and may: one write for all of it. */
void issue(struct connection *c) {
    static uint8_t out[64 * MAX_FRAME];
    size_t length = 0;
    if (c->state != READY) return;
    while (c->in_flight < load.inflight && (load.rate > 0 ? c->dues > 0 : now_ns() < load.ends_ns) &&
           length < sizeof out - MAX_FRAME) {
        uint8_t text[MAX_FRAME];
        char op_id[37];
        struct slot *slot;
        while ((slot = &c->slots[c->next_id % (uint64_t)slot_count])->id) c->next_id++;
        slot->id = c->next_id++;
        slot->due = due_of(c);
        make_op_id(op_id, c);
        if (load.sends) slot->conversation = next_conversation(c);
        length += ws_put(out + length, data_opcode(), text,
                         load.sends ? say_send(c, slot, op_id, text)
                                    : say_toggle(options.protocol, slot->id, c->target, options.emoji, op_id, text));
        c->operations++, c->round_operations++, c->in_flight++, load.started++;
        if (load.rate > 0) c->dues--;
    }
    if (length) send_bytes(c, out, length);
}

static void on_answer(struct connection *c, const struct seen *seen, const struct message *message, uint64_t now) {
    struct slot *slot = &c->slots[seen->id % (uint64_t)slot_count];
    if (!seen->id || slot->id != seen->id) {
        totals.doubled++;
        remember_error(message->payload, message->length);
        return;
    }
    histogram_add(&totals.latency, now > slot->due ? now - slot->due : 0);
    slot->id = 0;
    c->in_flight--;
    load.completed++;
    if (seen->kind == KIND_ERROR) {
        totals.errors++;
        remember_error(message->payload, message->length);
        return;
    }
    totals.acks++;
    if (load.sends) {
        on_sent(slot);
        return;
    }
    c->acks++;
    if (seen->version > c->ack_version) {
        c->ack_version = seen->version;
        c->on = seen->on;
    } else if (load.inflight == 1) totals.went_back++; /* with several in flight the answers may come in any order */
}

static void on_push(struct connection *c, const struct seen *seen, const struct message *message, uint64_t now) {
    totals.frames++;
    totals.bytes += message->length;
    c->frames++;
    if (!totals.first_ns) totals.first_ns = now;
    totals.last_ns = now;
    if (seen->version < c->push_version) totals.went_back++;
    else if (seen->version == c->push_version && seen->version) totals.repeated++;
    else c->push_version = seen->version;
    if (c == connections && message->length < sizeof last_push) {
        memcpy(last_push, message->payload, message->length);
        last_push[message->length] = 0;
    }
}

/* A peer's broadcast is any text with a version in it. */
static void on_plain(struct connection *c, const struct message *message, uint64_t now) {
    struct seen seen = {.kind = KIND_PUSH};
    const char *text = memmem(message->payload, message->length, "version\\\":\\\"", 12);
    if (text) seen.version = strtoll(text + 12, NULL, 10);
    else if ((text = JSON_VALUE(message->payload, message->length, "version"))) seen.version = strtoll(text, NULL, 10);
    if (c->state == GREETING) {
        if (++c->greetings >= options.greetings) say_next(c);
    } else if (seen.version) on_push(c, &seen, message, now);
    else totals.notices++;
}

void on_message(struct connection *c, const struct message *message, uint64_t now) {
    if (message->opcode == OP_PING) {
        send_message(c, OP_PONG, message->payload, message->length);
        return;
    }
    if (message->opcode == OP_PONG) return;
    if (message->opcode == OP_CLOSE) {
        char why[160];
        int code = message->length >= 2 ? message->payload[0] << 8 | message->payload[1] : 1005;
        snprintf(why, sizeof why, "closed with %d %.*s", code, message->length > 2 ? (int)message->length - 2 : 0,
                 (const char *)message->payload + 2);
        close_connection(c, why);
        return;
    }
    if (options.protocol == PLAIN) {
        on_plain(c, message, now);
        return;
    }
    struct seen seen = {0};
    if (options.protocol == JSON) read_json(message->payload, message->length, &seen);
    else read_proto(message->payload, message->length, &seen);
    if (seen.kind == KIND_PUSH) on_push(c, &seen, message, now);
    else if (seen.kind == KIND_MESSAGE && c->inbox) on_delivery(c, message, now);
    else if (seen.kind == KIND_RECEIPT) totals.receipts++;
    else if (c->state == SAYING_HELLO && seen.kind == KIND_WELCOME) say_next(c);
    else if (c->state == SUBSCRIBING && seen.kind == KIND_SUBSCRIBED) say_next(c);
    else if (seen.kind == KIND_ACK || seen.kind == KIND_ERROR) {
        if (c->state != READY) {
            ((uint8_t *)message->payload)[message->length] = 0;
            close_connection(c, (const char *)message->payload);
            return;
        }
        on_answer(c, &seen, message, now);
    } else if (seen.kind != KIND_PONG) {
        totals.notices++;
        remember_error(message->payload, message->length);
    }
}

void start_load(bool sends, double seconds, double rate, uint64_t inflight) {
    if (inflight * 4 > (uint64_t)slot_count) {
        while (inflight * 4 > (uint64_t)slot_count) slot_count *= 2;
        for (int i = 0; i < options.connections; i++) {
            free(connections[i].slots);
            connections[i].slots = calloc((size_t)slot_count, sizeof(struct slot));
        }
    }
    reset_totals();
    load.running = true, load.sends = sends, load.rate = rate, load.inflight = inflight, load.scheduled = load.started = load.completed = 0;
    load.began_ns = now_ns();
    load.ends_ns = load.began_ns + (uint64_t)(seconds * 1e9);
    for (int i = 0; i < options.connections; i++)
        connections[i].dues = connections[i].round_operations = connections[i].in_flight = 0;
    if (rate <= 0)
        for (int i = 0; i < options.connections; i++) issue(&connections[i]);
}

/* Issues what is due; ends the load when all is answered. Returns how long to sleep, in nanoseconds; -1: for ever. */
int64_t drive(void) {
    uint64_t now = now_ns();
    if (!load.running) return -1;
    int64_t sleep = 100000000;
    bool owing = false;
    if (load.rate > 0) {
        uint64_t until = now < load.ends_ns ? now : load.ends_ns;
        uint64_t due = (uint64_t)((double)(until - load.began_ns) / 1e9 * load.rate) + (now < load.ends_ns);
        for (; load.scheduled < due; load.scheduled++) {
            struct connection *c = &connections[load.scheduled % (uint64_t)options.connections];
            c->dues++;
            issue(c);
        }
        owing = load.started < load.scheduled;
        if (now < load.ends_ns) {
            int64_t next =
                (int64_t)(load.began_ns + (uint64_t)((double)load.scheduled / load.rate * 1e9)) - (int64_t)now;
            sleep = next > 20000 ? next : 20000;
        }
    }
    if (now < load.ends_ns) return sleep < (int64_t)(load.ends_ns - now) ? sleep : (int64_t)(load.ends_ns - now) + 1;
    bool late = now > load.ends_ns + (uint64_t)GRACE_SECONDS * 1000000000ull;
    bool delivered = totals.deliveries >= totals.expected;
    if ((!owing && load.completed == load.started && delivered) || late) {
        totals.lost = load.started - load.completed;
        load.running = false;
        double seconds = (double)((late ? load.ends_ns : now) - load.began_ns) / 1e9;
        print_report("call", load.rate, seconds);
        for (int i = 0; late && i < options.connections; i++)
            memset(connections[i].slots, 0, (size_t)slot_count * sizeof(struct slot));
    }
    return 10000000;
}
