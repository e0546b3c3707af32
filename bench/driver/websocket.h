/* RFC 6455 from the client's side: as much of it as a load driver needs. */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include <stdint.h>
#include <string.h>

enum { OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

struct message {
    int opcode;
    const uint8_t *payload;
    uint64_t length;
};

/* Takes the first frame from the bytes: its whole length, 0 where it is not complete, -1 where it is not a frame of a
   server (masked) or a fragment. */
static inline int64_t ws_take(const uint8_t *data, size_t available, struct message *out) {
    if (available < 2) return 0;
    if ((data[1] & 0x80) || !(data[0] & 0x80)) return -1;
    uint64_t length = data[1] & 0x7f;
    size_t head = 2;
    if (length == 126) {
        if (available < 4) return 0;
        length = (uint64_t)data[2] << 8 | data[3];
        head = 4;
    } else if (length == 127) {
        if (available < 10) return 0;
        length = 0;
        for (int i = 2; i < 10; i++) length = length << 8 | data[i];
        head = 10;
    }
    if (available < head + length) return 0;
    out->opcode = data[0] & 0x0f;
    out->payload = data + head;
    out->length = length;
    return (int64_t)(head + length);
}

/* Writes a masked frame and returns its length; `out` holds at least 14 bytes more than the payload. */
static inline size_t ws_put(uint8_t *out, int opcode, const uint8_t *payload, size_t length) {
    static const uint8_t mask[4] = {0x5a, 0xc3, 0x19, 0xe6};
    size_t head = 2;
    out[0] = (uint8_t)(0x80 | opcode);
    if (length < 126) {
        out[1] = (uint8_t)(0x80 | length);
    } else if (length < 65536) {
        out[1] = 0x80 | 126;
        out[2] = (uint8_t)(length >> 8);
        out[3] = (uint8_t)length;
        head = 4;
    } else {
        out[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++) out[2 + i] = (uint8_t)((uint64_t)length >> (56 - 8 * i));
        head = 10;
    }
    memcpy(out + head, mask, 4);
    head += 4;
    for (size_t i = 0; i < length; i++) out[head + i] = payload[i] ^ mask[i & 3];
    return head + length;
}

#endif
