import com.plaudit.counter.v1.CounterServiceGrpc;
import com.plaudit.counter.v1.GetReactionCountsRequest;
import com.plaudit.reaction.v1.ReactionServiceGrpc;
import com.plaudit.reaction.v1.ToggleReactionRequest;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/** A service reacts for a user, and reads the counts. Arguments: address, user, target. */
public final class React {
  public static void main(String[] arguments) throws InterruptedException {
    String address = arguments.length > 0 ? arguments[0] : "127.0.0.1:50051";
    String user = arguments.length > 1 ? arguments[1] : "alice";
    String target = arguments.length > 2 ? arguments[2] : "messages/42";
    ManagedChannel channel = Grpc.newChannelBuilder(address, InsecureChannelCredentials.create()).build();
    try {
      react(channel, System.getenv("TOKEN"), user, target, "👍");
    } finally {
      channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  private static void react(ManagedChannel channel, String token, String user, String target, String emoji) {
    var headers = new Metadata();
    headers.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
    headers.put(Metadata.Key.of("plaudit-user", Metadata.ASCII_STRING_MARSHALLER), user);
    var caller = MetadataUtils.newAttachHeadersInterceptor(headers);

    // The id makes the call safe to repeat: sent twice, it is made once.
    var reactions = ReactionServiceGrpc.newBlockingStub(channel).withInterceptors(caller);
    var toggled = reactions.withDeadlineAfter(5, TimeUnit.SECONDS).toggleReaction(ToggleReactionRequest.newBuilder()
        .setTarget(target).setEmoji(emoji).setOpId(UUID.randomUUID().toString()).build());
    System.out.println(emoji + " is on: " + toggled.getOn());

    // The version makes the read see the change.
    var counts = CounterServiceGrpc.newBlockingStub(channel).withInterceptors(caller);
    var counted = counts.withDeadlineAfter(5, TimeUnit.SECONDS).getReactionCounts(GetReactionCountsRequest.newBuilder()
        .setTarget(target).setMinVersion(toggled.getVersion()).build());
    counted.getReactionsList().forEach(one -> System.out.println(one.getEmoji() + " " + one.getCount()));
  }
}
