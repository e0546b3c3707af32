// The users that this page has met, to suggest them: senders, members, and the other users of direct conversations.

/** Users without duplicates, in their order. */
export const uniqueUsers = (users) => [...new Set(users)].filter(Boolean);

/** The users of the conversations of `messenger`, those of the latest conversations first; `without` are left out. */
export function metPeople(messenger, without = []) {
  const left = new Set(without);
  const users = messenger.conversations.flatMap((conversation) => {
    const { conversationId: id, peerId, creatorId, lastMessage } = conversation;
    const members = messenger.members(id).map(({ userId }) => userId);
    const writers = messenger.timeline(id).items.flatMap((item) => (item.kind === "message" ? [item.senderId] : item.userIds ?? []));
    return [peerId, lastMessage?.senderId, ...writers.toReversed(), ...members, creatorId];
  });
  return uniqueUsers(users).filter((user) => !left.has(user));
}
