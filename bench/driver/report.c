/* One line of JSON per report. */
#include "wsload.h"

#include <stddef.h>

void remember_error(const void *text, size_t length) {
    if (first_error[0]) return;
    if (length >= sizeof first_error) length = sizeof first_error - 1;
    memcpy(first_error, text, length);
    first_error[length] = 0;
}

static void print_string(const char *text) {
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\') printf("\\%c", *c);
        else if (*c < 0x20 || *c == 0x7f) printf("\\u%04x", *c);
        else putchar(*c);
    }
    putchar('"');
}

static void print_count(const char *name, uint64_t count) { printf(",\"%s\":%llu", name, (unsigned long long)count); }

static void print_latency(const char *name, const struct histogram *waits) {
    static const struct {
        const char *name;
        double share;
    } shares[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p999", .999}};
    printf(",\"%s\":{", name);
    for (int i = 0; i < 4; i++)
        printf("\"%s\":%.3f,", shares[i].name, (double)histogram_at(waits, shares[i].share) / 1e6);
    printf("\"max\":%.3f}", (double)waits->max / 1e6);
}

void reset_totals(void) {
    histogram_reset(&totals.latency);
    histogram_reset(&totals.delivery_latency);
    memset(&totals, 0, offsetof(typeof(totals), latency));
    totals.began_ns = now_ns();
    totals.cpu_began = cpu_seconds();
    first_error[0] = 0;
    for (int i = 0; i < options.connections; i++) connections[i].frames = 0;
}

void print_report(const char *event, double offered, double seconds) {
    uint64_t fewest = UINT64_MAX, most = 0, standing = 0, disagree = 0;
    int64_t version_low = INT64_MAX, version_high = 0;
    for (int i = 0; i < options.connections; i++) {
        struct connection *c = &connections[i];
        if (c->frames < fewest) fewest = c->frames;
        if (c->frames > most) most = c->frames;
        if (c->push_version < version_low) version_low = c->push_version;
        if (c->push_version > version_high) version_high = c->push_version;
        standing += c->acks & 1;
        disagree += c->acks && c->on != (c->acks & 1);
    }
    double elapsed = (double)(now_ns() - totals.began_ns) / 1e9, cpu = cpu_seconds() - totals.cpu_began;
    if (seconds <= 0) seconds = elapsed;
    printf("{\"event\":\"%s\",\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"cpu_share\":%.4f", event, seconds, cpu,
           cpu / elapsed);
    print_count("connections", (uint64_t)options.connections);
    print_count("closed", totals.closed);
    print_count("notices", totals.notices);
    print_count("frames", totals.frames);
    print_count("frame_bytes", totals.bytes);
    print_count("frames_fewest", fewest);
    print_count("frames_most", most);
    printf(",\"frames_span_seconds\":%.6f", (double)(totals.last_ns - totals.first_ns) / 1e9);
    print_count("version_low", (uint64_t)version_low);
    print_count("version_high", (uint64_t)version_high);
    print_count("versions_back", totals.went_back);
    print_count("versions_repeated", totals.repeated);
    print_count("acks", totals.acks);
    print_count("errors", totals.errors);
    print_count("lost", totals.lost);
    print_count("doubled", totals.doubled);
    print_count("standing", standing);
    print_count("disagree", disagree);
    print_count("deliveries", totals.deliveries);
    print_count("undelivered", totals.expected > totals.deliveries ? totals.expected - totals.deliveries : 0);
    print_count("overdelivered", totals.deliveries > totals.expected ? totals.deliveries - totals.expected : 0);
    print_count("gaps", totals.gaps);
    print_count("out_of_order", totals.out_of_order);
    print_count("receipts", totals.receipts);
    print_count("received_bytes", totals.received_bytes);
    print_count("sent_bytes", totals.sent_bytes);
    printf(",\"offered_rate\":%.1f,\"achieved_rate\":%.1f", offered, (double)totals.acks / seconds);
    print_latency("latency_ms", &totals.latency);
    print_latency("delivery_latency_ms", &totals.delivery_latency);
    printf(",\"first_error\":");
    print_string(first_error);
    printf(",\"last_push\":");
    print_string(options.protocol == PROTO ? "" : last_push);
    puts("}");
    fflush(stdout);
    reset_totals();
}
