/* Plaudit's frames in both subprotocols: written by hand, because a driver must cost less than what it drives. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum protocol { PLAIN, JSON, PROTO };
enum kind { KIND_OTHER, KIND_WELCOME, KIND_SUBSCRIBED, KIND_ACK, KIND_ERROR, KIND_PUSH, KIND_PONG, KIND_MESSAGE, KIND_RECEIPT };

struct seen {
    enum kind kind;
    uint64_t id;
    int64_t version; /* of an ack or a push; 0: none */
    bool on;
};

/* ---- protobuf ---- */
static inline size_t put_varint(uint8_t *out, uint64_t value) {
    size_t n = 0;
    while (value >= 0x80) {
        out[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[n++] = (uint8_t)value;
    return n;
}

static inline size_t put_bytes(uint8_t *out, int field, const void *data, size_t length) {
    size_t n = put_varint(out, (uint64_t)field << 3 | 2);
    n += put_varint(out + n, length);
    memcpy(out + n, data, length);
    return n + length;
}

struct field {
    uint32_t number, wire;
    uint64_t value; /* a varint's value, or the length of the bytes */
    const uint8_t *data;
};

static inline bool take_varint(const uint8_t **p, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (int shift = 0; *p < end && shift < 64; shift += 7) {
        uint8_t byte = *(*p)++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

static inline bool take_field(const uint8_t **p, const uint8_t *end, struct field *f) {
    uint64_t tag;
    if (*p >= end || !take_varint(p, end, &tag)) return false;
    f->number = (uint32_t)(tag >> 3);
    f->wire = (uint32_t)(tag & 7);
    if (f->wire != 0 && f->wire != 2) return false;
    if (!take_varint(p, end, &f->value)) return false;
    f->data = *p;
    if (f->wire == 2) {
        if (f->value > (uint64_t)(end - *p)) return false;
        *p += f->value;
    }
    return true;
}

/* ToggleReactionResponse and ReactionUpdate both keep what is looked for in small varint fields. */
static inline void read_proto(const uint8_t *p, size_t length, struct seen *out) {
    static const enum kind kinds[] = {[2] = KIND_WELCOME, [3] = KIND_ACK,        [4] = KIND_ERROR,
                                      [5] = KIND_PUSH,    [6] = KIND_SUBSCRIBED, [8] = KIND_PONG};
    const uint8_t *end = p + length;
    struct field f, g, h;
    while (take_field(&p, end, &f)) {
        if (f.number == 1 && f.wire == 0) out->id = f.value;
        if (f.wire != 2 || f.number < 2) continue;
        out->kind = f.number < sizeof kinds / sizeof *kinds ? kinds[f.number] : KIND_OTHER;
        if (out->kind != KIND_ACK && out->kind != KIND_PUSH) continue;
        const uint8_t *q = f.data, *qend = f.data + f.value;
        uint32_t payload = out->kind == KIND_ACK ? 1 : 3, version = out->kind == KIND_ACK ? 2 : 1;
        while (take_field(&q, qend, &g)) {
            if (g.number != payload || g.wire != 2) continue;
            const uint8_t *r = g.data, *rend = g.data + g.value;
            while (take_field(&r, rend, &h)) {
                if (h.number == version && h.wire == 0) out->version = (int64_t)h.value;
                if (out->kind == KIND_ACK && h.number == 1 && h.wire == 0) out->on = h.value != 0;
            }
        }
    }
}

/* ---- JSON ---- */
/* The text behind `"key":`, or NULL. The frames are flat enough for a search. */
static inline const char *json_value(const uint8_t *p, size_t length, const char *key, size_t key_length) {
    const char *at = memmem(p, length, key, key_length);
    if (!at) return NULL;
    at += key_length;
    while (*at == ' ') at++;
    return *at == '"' ? at + 1 : at;
}
#define JSON_VALUE(p, n, key) json_value(p, n, "\"" key "\":", sizeof("\"" key "\":") - 1)

/* The payload must be followed by a byte that is no digit (the caller ends its buffer with 0). */
static inline void read_json(const uint8_t *p, size_t length, struct seen *out) {
    const char *text = JSON_VALUE(p, length, "type");
    if (text) {
        if (!strncmp(text, "ack\"", 4)) out->kind = KIND_ACK;
        else if (!strncmp(text, "reaction_update\"", 16)) out->kind = KIND_PUSH;
        else if (!strncmp(text, "error\"", 6)) out->kind = KIND_ERROR;
        else if (!strncmp(text, "welcome\"", 8)) out->kind = KIND_WELCOME;
        else if (!strncmp(text, "subscribed\"", 11)) out->kind = KIND_SUBSCRIBED;
        else if (!strncmp(text, "pong\"", 5)) out->kind = KIND_PONG;
        else if (!strncmp(text, "new_message\"", 12)) out->kind = KIND_MESSAGE;
        else if (!strncmp(text, "receipt\"", 8)) out->kind = KIND_RECEIPT;
    }
    if (out->kind == KIND_MESSAGE || out->kind == KIND_RECEIPT) return;
    if (out->kind != KIND_PUSH && (text = JSON_VALUE(p, length, "id"))) out->id = strtoull(text, NULL, 10);
    if ((out->kind == KIND_ACK || out->kind == KIND_PUSH) && (text = JSON_VALUE(p, length, "version")))
        out->version = strtoll(text, NULL, 10);
    if (out->kind == KIND_ACK && (text = JSON_VALUE(p, length, "on"))) out->on = *text == 't';
}

/* ---- what the driver says; each returns the payload's length ---- */
static inline size_t say_hello(enum protocol protocol, uint8_t *out) {
    if (protocol == JSON) return (size_t)sprintf((char *)out, "{\"type\":\"hello\",\"id\":1,\"client\":\"wsload\"}");
    uint8_t hello[16];
    size_t inner = put_bytes(hello, 2, "wsload", 6);
    memcpy(out, "\x08\x01", 2);
    return 2 + put_bytes(out + 2, 2, hello, inner);
}

static inline size_t say_subscribe(enum protocol protocol, const char *topic, uint8_t *out) {
    if (protocol == JSON)
        return (size_t)sprintf((char *)out, "{\"type\":\"subscribe\",\"id\":2,\"topics\":[\"%s\"]}", topic);
    uint8_t body[256];
    size_t inner = put_bytes(body, 1, topic, strlen(topic));
    memcpy(out, "\x08\x02", 2);
    return 2 + put_bytes(out + 2, 3, body, inner);
}

static inline size_t say_ping(enum protocol protocol, uint8_t *out) {
    if (protocol == JSON) return (size_t)sprintf((char *)out, "{\"type\":\"ping\"}");
    memcpy(out, "\x2a\x00", 2);
    return 2;
}

static inline size_t say_toggle(enum protocol protocol, uint64_t id, const char *target, const char *emoji,
                                const char *op_id, uint8_t *out) {
    if (protocol == JSON)
        return (size_t)sprintf(
            (char *)out,
            "{\"type\":\"toggle_reaction\",\"id\":%llu,\"target\":\"%s\",\"emoji\":\"%s\",\"op_id\":\"%s\"}",
            (unsigned long long)id, target, emoji, op_id);
    uint8_t request[512], call[640];
    size_t n = put_bytes(request, 1, target, strlen(target));
    n += put_bytes(request + n, 2, emoji, strlen(emoji));
    n += put_bytes(request + n, 3, op_id, strlen(op_id));
    size_t m = put_bytes(call, 1, "toggle_reaction", 15);
    m += put_bytes(call + m, 2, request, n);
    out[0] = 0x08;
    size_t head = 1 + put_varint(out + 1, id);
    return head + put_bytes(out + head, 6, call, m);
}

#endif
