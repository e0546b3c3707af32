/* Messages: who sends to which conversation, and what arrives where.
 *
 * The file of --conversations has two kinds of lines:
 *     conversation ID SOCKETS   a conversation, and how many sockets of this driver get each of its messages
 *     sends CONNECTION INDEX…   the conversations that a connection sends to, in turn, by their order in the file
 * A message's content begins with the time at which it was due and the index of its conversation, so that whoever
 * receives it knows how late it is and whether one before it is missing.
 */
#include "wsload.h"

struct conversation {
    char id[80];
    uint64_t sockets;
};

struct last_seq {
    int conversation; /* its index + 1; 0: free */
    int64_t seq;
};

struct inbox {
    int *sends, send_count, next_send;
    struct last_seq *last; /* by conversation: a hash table of a size that is a power of two */
    int last_count, last_size;
    uint64_t seq, acked_seq, acked_ns; /* the session's number of the newest push, and of the last ack */
};

static struct conversation *conversations;
static int conversation_count;

void read_conversations(void) {
    FILE *file = fopen(options.conversation_file, "r");
    char *line = NULL, *rest;
    size_t size = 0;
    if (!file) die("%s: %s", options.conversation_file, strerror(errno));
    for (int i = 0; i < options.connections; i++) connections[i].inbox = calloc(1, sizeof *connections[i].inbox);
    while (getline(&line, &size, file) > 0) {
        unsigned long long sockets;
        char id[80];
        if (sscanf(line, "conversation %79s %llu", id, &sockets) == 2) {
            conversations = realloc(conversations, (size_t)(conversation_count + 1) * sizeof *conversations);
            conversations[conversation_count].sockets = sockets;
            strcpy(conversations[conversation_count++].id, id);
            continue;
        }
        if (strncmp(line, "sends ", 6)) die("%s: not a line: %s", options.conversation_file, line);
        long index = strtol(line + 6, &rest, 10);
        if (index < 0 || index >= options.connections) die("there is no connection %ld", index);
        struct inbox *inbox = connections[index].inbox;
        for (char *end; ; rest = end) {
            long to = strtol(rest, &end, 10);
            if (end == rest) break;
            if (to < 0 || to >= conversation_count) die("there is no conversation %ld", to);
            inbox->sends = realloc(inbox->sends, (size_t)(inbox->send_count + 1) * sizeof *inbox->sends);
            inbox->sends[inbox->send_count++] = (int)to;
        }
    }
    free(line);
    fclose(file);
}

int next_conversation(struct connection *c) {
    struct inbox *inbox = c->inbox;
    if (!inbox || !inbox->send_count) die("connection %ld sends to no conversation", (long)(c - connections));
    int found = inbox->sends[inbox->next_send];
    inbox->next_send = (inbox->next_send + 1) % inbox->send_count;
    return found;
}

size_t say_send(const struct connection *c, const struct slot *slot, const char *client_msg_id, uint8_t *out) {
    (void)c;
    char content[1024];
    int want = options.content_bytes < 1000 ? options.content_bytes : 1000;
    int n = snprintf(content, sizeof content, "%llu %d ", (unsigned long long)slot->due, slot->conversation);
    while (n < want) content[n++] = 'x';
    content[n] = 0;
    return (size_t)snprintf((char *)out, MAX_FRAME,
                            "{\"type\":\"send_message\",\"id\":%llu,\"conversation_id\":\"%s\",\"content\":\"%s\","
                            "\"content_type\":\"text\",\"client_msg_id\":\"%s\"}",
                            (unsigned long long)slot->id, conversations[slot->conversation].id, content, client_msg_id);
}

void on_sent(const struct slot *slot) { totals.expected += conversations[slot->conversation].sockets; }

static struct last_seq *last_of(struct inbox *inbox, int conversation) {
    if (inbox->last_count * 2 >= inbox->last_size) {
        struct last_seq *old = inbox->last;
        int count = inbox->last_size;
        inbox->last_size = count ? count * 2 : 16;
        inbox->last = calloc((size_t)inbox->last_size, sizeof *inbox->last);
        inbox->last_count = 0;
        for (int i = 0; i < count; i++)
            if (old[i].conversation) last_of(inbox, old[i].conversation - 1)->seq = old[i].seq;
        free(old);
    }
    unsigned at = (unsigned)conversation * 2654435761u;
    for (;; at++) {
        struct last_seq *entry = &inbox->last[at & (unsigned)(inbox->last_size - 1)];
        if (entry->conversation == conversation + 1) return entry;
        if (!entry->conversation) {
            entry->conversation = conversation + 1;
            inbox->last_count++;
            return entry;
        }
    }
}

void on_delivery(struct connection *c, const struct message *message, uint64_t now) {
    const char *content = JSON_VALUE(message->payload, message->length, "content");
    const char *seq = JSON_VALUE(message->payload, message->length, "message_seq");
    const char *number = JSON_VALUE(message->payload, message->length, "seq");
    totals.bytes += message->length;
    if (number) c->inbox->seq = strtoull(number, NULL, 10);
    char *rest;
    uint64_t due = content ? strtoull(content, &rest, 10) : 0;
    long conversation = due ? strtol(rest, NULL, 10) : -1;
    if (!seq || conversation < 0 || conversation >= conversation_count) {
        totals.errors++;
        remember_error(message->payload, message->length);
        return;
    }
    totals.deliveries++;
    histogram_add(&totals.delivery_latency, now > due ? now - due : 0);
    struct last_seq *last = last_of(c->inbox, (int)conversation);
    int64_t found = strtoll(seq, NULL, 10);
    if (last->seq && found <= last->seq) totals.out_of_order++;
    else {
        if (last->seq && found != last->seq + 1) totals.gaps++;
        last->seq = found;
    }
}

void ack_deliveries(uint64_t now) {
    static uint64_t swept;
    uint64_t pause = (uint64_t)options.ack_ms * 1000000ull;
    if (now - swept < pause / 8) return;
    swept = now;
    for (int i = 0; i < options.connections; i++) {
        struct connection *c = &connections[i];
        struct inbox *inbox = c->inbox;
        if (!inbox || c->state != READY || inbox->seq == inbox->acked_seq || now - inbox->acked_ns < pause) continue;
        char text[64];
        int n = snprintf(text, sizeof text, "{\"type\":\"ack\",\"seq\":%llu}", (unsigned long long)inbox->seq);
        inbox->acked_seq = inbox->seq;
        inbox->acked_ns = now;
        send_message(c, data_opcode(), (const uint8_t *)text, (size_t)n);
    }
}
