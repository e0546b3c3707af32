// A service reacts for a user, and reads the counts.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	counterv1 "react/gen/plaudit/counter/v1"
	reactionv1 "react/gen/plaudit/reaction/v1"
)

func main() {
	address := flag.String("address", "127.0.0.1:50051", "of Plaudit's gRPC")
	user := flag.String("user", "alice", "who reacts")
	target := flag.String("target", "messages/42", "what to react to")
	flag.Parse()
	if err := react(*address, os.Getenv("TOKEN"), *user, *target, "👍"); err != nil {
		log.Fatalf("%s: %v", reason(err), err)
	}
}

// reason is what programs decide by; empty where the failure is not one of Plaudit's.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.Reason
		}
	}
	return ""
}

func react(address, token, user, target, emoji string) error {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token, "plaudit-user", user)

	// The id makes the call safe to repeat: sent twice, it is made once.
	toggled, err := reactionv1.NewReactionServiceClient(connection).ToggleReaction(
		ctx, &reactionv1.ToggleReactionRequest{Target: target, Emoji: emoji, OpId: rand.Text()})
	if err != nil {
		return err
	}
	fmt.Printf("%s is on: %t\n", emoji, toggled.On)

	// The version makes the read see the change.
	counted, err := counterv1.NewCounterServiceClient(connection).GetReactionCounts(
		ctx, &counterv1.GetReactionCountsRequest{Target: target, MinVersion: toggled.Version})
	if err != nil {
		return err
	}
	for _, one := range counted.GetReactions() {
		fmt.Printf("%s %d\n", one.Emoji, one.Count)
	}
	return nil
}
