/* wsload: thousands of WebSocket clients in one thread.
 *
 * It connects, says hello, subscribes, prints {"event":"ready",…} and then obeys lines on standard input, each answered
 * by one line of JSON. {} in --topic is the number of the connection.
 *     call SECONDS RATE INFLIGHT   toggles reactions: RATE operations/s in all, each due at t0 + i/RATE and its latency
 *                                  counted from then; RATE 0: as fast as INFLIGHT per connection allow
 *     send SECONDS RATE INFLIGHT   sends messages in the same way, to the conversations of --conversations; a delivery's
 *                                  latency counts from the time at which its message was due
 *     report                       what was received since the last report
 *     quit                         ends (as does the end of the input)
 * Correctness is counted on the way: answers lost, doubled or unasked for, versions that went back, and how many
 * reactions must stand at the end (each connection toggles one emoji of one target as a user of its own).
 */
#include "wsload.h"

#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTS_AT_A_TIME = 64 };

struct options options = {.host = "127.0.0.1",
                          .path = "/ws/connect",
                          .target = "messages/load-",
                          .emoji = "\xf0\x9f\x91\x8d",
                          .connections = 1,
                          .targets = 1,
                          .cpu = -1,
                          .content_bytes = 200,
                          .protocol = JSON};
struct totals totals;
struct load load;
struct connection *connections;
char **tokens, first_error[512], last_push[4096];
int token_count, epoll, dialed, ready, slot_count = 1;

uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("wsload: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

/* False at the end of the input or on `quit`. */
static bool obey(void) {
    static char line[256];
    static size_t length;
    ssize_t n = read(0, line + length, sizeof line - 1 - length);
    if (n <= 0) return n < 0 && errno == EAGAIN;
    line[length += (size_t)n] = 0;
    for (char *end; (end = strchr(line, '\n'));
         length -= (size_t)(end + 1 - line), memmove(line, end + 1, length + 1)) {
        double seconds, rate;
        unsigned long long inflight;
        *end = 0;
        if (!strcmp(line, "quit")) return false;
        if (!strcmp(line, "report")) print_report("report", 0, 0);
        else if (sscanf(line, "call %lf %lf %llu", &seconds, &rate, &inflight) == 3 && inflight > 0)
            start_load(false, seconds, rate, inflight);
        else if (sscanf(line, "send %lf %lf %llu", &seconds, &rate, &inflight) == 3 && inflight > 0)
            start_load(true, seconds, rate, inflight);
        else die("not a command: %s", line);
    }
    return true;
}

static void ping_all(uint64_t now) {
    static uint64_t last;
    uint8_t text[64];
    if (!last) last = now;
    if (options.protocol == PLAIN || now - last < 25000000000ull) return;
    last = now;
    for (int i = 0; i < options.connections; i++)
        if (connections[i].state == READY)
            send_message(&connections[i], data_opcode(), text, say_ping(options.protocol, text));
}

static void read_tokens(void) {
    char line[4096];
    FILE *file = fopen(options.token_file, "r");
    if (!file) die("%s: %s", options.token_file, strerror(errno));
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (!line[0]) continue;
        tokens = realloc(tokens, (size_t)(token_count + 1) * sizeof *tokens);
        tokens[token_count++] = strdup(line);
    }
    fclose(file);
}

static void read_options(int count, char **values) {
    static const struct option names[] = {
        {"host", 1, 0, 'h'},        {"port", 1, 0, 'p'},    {"path", 1, 0, 'a'},     {"tokens", 1, 0, 't'},
        {"connections", 1, 0, 'n'}, {"sources", 1, 0, 's'}, {"protocol", 1, 0, 'o'}, {"greeting", 1, 0, 'g'},
        {"greetings", 1, 0, 'G'},   {"topic", 1, 0, 'T'},   {"target", 1, 0, 'x'},   {"targets", 1, 0, 'X'},
        {"emoji", 1, 0, 'e'},       {"cpu", 1, 0, 'c'},     {"conversations", 1, 0, 'C'}, {"ack-ms", 1, 0, 'A'},
        {"content-bytes", 1, 0, 'B'}, {0, 0, 0, 0}};
    for (int option; (option = getopt_long(count, values, "", names, NULL)) != -1;) switch (option) {
        case 'h':
            options.host = optarg;
            break;
        case 'p':
            options.port = atoi(optarg);
            break;
        case 'a':
            options.path = optarg;
            break;
        case 't':
            options.token_file = optarg;
            break;
        case 'n':
            options.connections = atoi(optarg);
            break;
        case 's':
            options.sources = atoi(optarg);
            break;
        case 'o':
            options.protocol = !strcmp(optarg, "plain") ? PLAIN : !strcmp(optarg, "proto") ? PROTO : JSON;
            break;
        case 'g':
            options.greeting = optarg;
            break;
        case 'G':
            options.greetings = atoi(optarg);
            break;
        case 'T':
            options.topic = optarg;
            break;
        case 'x':
            options.target = optarg;
            break;
        case 'X':
            options.targets = atoi(optarg);
            break;
        case 'e':
            options.emoji = optarg;
            break;
        case 'c':
            options.cpu = atoi(optarg);
            break;
        case 'C':
            options.conversation_file = optarg;
            break;
        case 'A':
            options.ack_ms = atoi(optarg);
            break;
        case 'B':
            options.content_bytes = atoi(optarg);
            break;
        default:
            exit(2);
        }
    if (!options.port || options.connections < 1 || options.targets < 1)
        die("--port, --connections and --targets are positive numbers");
    if (options.token_file) read_tokens();
}

int main(int count, char **values) {
    read_options(count, values);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if ((rlim_t)options.connections + 16 > files.rlim_cur)
        die("%d connections, but only %llu open files allowed", options.connections,
            (unsigned long long)files.rlim_cur);
    if (options.cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(options.cpu, &set);
        if (sched_setaffinity(0, sizeof set, &set)) die("cpu %d: %s", options.cpu, strerror(errno));
    }
    connections = calloc((size_t)options.connections, sizeof *connections);
    if (options.conversation_file) read_conversations();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
    uint64_t began = now_ns();
    while (dialed < options.connections && dialed < CONNECTS_AT_A_TIME) dial(dialed++);

    struct epoll_event events[512], input = {.events = EPOLLIN, .data.ptr = NULL};
    for (bool announced = false;;) {
        int64_t sleep = announced ? drive() : 30000000000ll;
        if (sleep < 0 || sleep > 5000000000ll) sleep = announced ? 5000000000ll : 30000000000ll;
        struct timespec timeout = {.tv_sec = sleep / 1000000000, .tv_nsec = sleep % 1000000000};
        int n = epoll_pwait2(epoll, events, sizeof events / sizeof *events, &timeout, NULL);
        if (n < 0 && errno != EINTR) die("epoll: %s", strerror(errno));
        if (!n && !announced) die("only %d of %d connections became ready", ready, options.connections);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                if (!obey()) return 0;
                continue;
            }
            on_event(c, events[i].events);
        }
        if (announced) ping_all(now_ns());
        if (announced && options.ack_ms) ack_deliveries(now_ns());
        if (!announced && ready == options.connections) {
            announced = true;
            printf("{\"event\":\"ready\",\"connections\":%d,\"seconds\":%.6f}\n", ready,
                   (double)(now_ns() - began) / 1e9);
            fflush(stdout);
            reset_totals();
            if (epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input)) die("standard input: %s", strerror(errno));
        }
    }
}
