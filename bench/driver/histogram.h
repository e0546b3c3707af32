/* Latencies in logarithmic buckets, as HdrHistogram keeps them: 64 buckets per power of two, so at most 1.6 % off. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>
#include <string.h>

enum { SUB_BITS = 6, SUB = 1 << SUB_BITS, BUCKETS = (64 - SUB_BITS) * SUB };

struct histogram {
    uint64_t counts[BUCKETS];
    uint64_t total, max;
};

static inline void histogram_reset(struct histogram *h) { memset(h, 0, sizeof *h); }

/* Values are nanoseconds; below 64 ns they are exact. */
static inline void histogram_add(struct histogram *h, uint64_t value) {
    unsigned index;
    if (value < SUB) {
        index = (unsigned)value;
    } else {
        unsigned top = 63u - (unsigned)__builtin_clzll(value);
        index = (top - SUB_BITS) * SUB + (unsigned)(value >> (top - SUB_BITS));
    }
    if (index >= BUCKETS) index = BUCKETS - 1;
    h->counts[index]++;
    h->total++;
    if (value > h->max) h->max = value;
}

/* The upper end of the bucket in which the given share (0 to 1) of the values has been seen, in nanoseconds. */
static inline uint64_t histogram_at(const struct histogram *h, double share) {
    uint64_t wanted = (uint64_t)(share * (double)h->total + 0.5), seen = 0;
    if (h->total == 0) return 0;
    if (wanted == 0) wanted = 1;
    for (unsigned index = 0; index < BUCKETS; index++) {
        seen += h->counts[index];
        if (seen < wanted) continue;
        uint64_t end = index;
        if (index >= SUB) {
            unsigned shift = index / SUB - 1;
            end = (((uint64_t)(index % SUB) + SUB + 1) << shift) - 1;
        }
        return end < h->max ? end : h->max;
    }
    return h->max;
}

#endif
