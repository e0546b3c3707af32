"""A service reacts for a user, with nothing but the generated stubs.

plaudit up
TOKEN=$(plaudit token mint --service importer) python examples/react_over_grpc.py
"""

import argparse
import os
import sys
import uuid

import grpc
from grpc_status import rpc_status

from plaudit.reaction.v1.reaction_changes_pb2 import ToggleReactionRequest
from plaudit.reaction.v1.reaction_service_pb2_grpc import ReactionServiceStub


def main(address: str, token: str, user: str, target: str, emoji: str) -> None:
    metadata = (("authorization", f"Bearer {token}"), ("plaudit-user", user))
    # The id makes the call safe to repeat: sent twice, it is made once.
    request = ToggleReactionRequest(target=target, emoji=emoji, op_id=str(uuid.uuid4()))
    with grpc.insecure_channel(address) as channel:
        try:
            answer = ReactionServiceStub(channel).ToggleReaction(request, metadata=metadata, timeout=5)
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {rpc_status.from_call(error) or error.details()}")
    print(f"{emoji} is {'on' if answer.on else 'off'} for {user} on {target}")
    print("  ".join(f"{one.emoji} {one.count}" for one in answer.reactions) or "no reactions")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default=os.environ.get("ADDRESS", "127.0.0.1:50051"))
    parser.add_argument("--token", default=os.environ.get("TOKEN", ""), help="of a service; by default $TOKEN")
    for name, default in {"user": "alice", "target": "messages/42", "emoji": "👍"}.items():
        parser.add_argument(f"--{name}", default=default)
    main(**vars(parser.parse_args()))
