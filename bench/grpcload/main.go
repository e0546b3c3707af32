// A closed loop of unary calls from many callers, each with a deadline, tried again at once whatever the answer.
//
// Cheaper than ghz, which makes and encodes a message for each call: thousands of callers must not be what is measured.
// Prints one line of JSON: the seconds it took and, for each code and reason, how many calls and their p50 and p99 in ms.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// bytesCodec passes messages on as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*message.(*[]byte))}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

type result struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
}

var (
	address     = flag.String("address", "", "host:port")
	method      = flag.String("method", "", "/package.Service/Method")
	request     = flag.String("request", "", "the message, in base64")
	token       = flag.String("token", "", "a service's, which acts for a user in each call")
	callers     = flag.Int("callers", 50, "")
	connections = flag.Int("connections", 1, "")
	seconds     = flag.Float64("seconds", 3, "")
	timeout     = flag.Duration("timeout", time.Second, "the deadline of each call")
)

func main() {
	flag.Parse()
	body, err := base64.StdEncoding.DecodeString(*request)
	check(err)
	channels := make([]*grpc.ClientConn, *connections)
	for i := range channels {
		channels[i], err = grpc.NewClient(
			*address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(bytesCodec{})),
			grpc.WithDisableRetry(),
		)
		check(err)
	}
	var all sync.Mutex
	var done sync.WaitGroup
	milliseconds := map[string][]float64{}
	began := time.Now()
	end := began.Add(time.Duration(*seconds * float64(time.Second)))
	for number := range *callers {
		done.Go(func() {
			mine := map[string][]float64{}
			metadata := metadata.Pairs("authorization", "Bearer "+*token, "plaudit-user", fmt.Sprintf("u%d", number))
			for time.Now().Before(end) {
				sent := time.Now()
				outcome := call(channels[number%len(channels)], metadata, body)
				mine[outcome] = append(mine[outcome], float64(time.Since(sent).Microseconds())/1e3)
			}
			all.Lock()
			defer all.Unlock()
			for outcome, times := range mine {
				milliseconds[outcome] = append(milliseconds[outcome], times...)
			}
		})
	}
	done.Wait()
	results := map[string]result{}
	for outcome, times := range milliseconds {
		sort.Float64s(times)
		results[outcome] = result{len(times), times[len(times)/2], times[len(times)*99/100]}
	}
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{"seconds": time.Since(began).Seconds(), "results": results}))
}

// call returns the code of one call and, behind a slash, the reason of its ErrorInfo, if it has one.
func call(channel *grpc.ClientConn, metadata_ metadata.MD, body []byte) string {
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(context.Background(), metadata_), *timeout)
	defer cancel()
	var response []byte
	err := channel.Invoke(ctx, *method, &body, &response)
	found := status.Convert(err)
	for _, detail := range found.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return found.Code().String() + "/" + info.Reason
		}
	}
	return found.Code().String()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
