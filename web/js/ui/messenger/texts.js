// Sentences and names for conversations, messages and what happens to them.

const MAX_NAMES = 3;
const MANY_FORWARDS = 5; // as many as the server counts
const WEEK_MS = 7 * 86_400_000;

export const isDirect = ({ type }) => type === "CONVERSATION_TYPE_DIRECT";
export const isChannel = ({ type }) => type === "CONVERSATION_TYPE_CHANNEL";
export const isAdmin = ({ role }) => role === "ROLE_ADMIN";
export const isMember = ({ role }) => role === "ROLE_ADMIN" || role === "ROLE_MEMBER";
export const isMuted = ({ muteUntilMs }, now = Date.now()) => muteUntilMs > now;
/** Whether this user may write to a conversation. */
export const mayWrite = (conversation) => isMember(conversation) && (!isChannel(conversation) || isAdmin(conversation));

/** Whether this user may pin messages: both in a direct conversation, otherwise admins. */
export const mayPin = (conversation) => isMember(conversation) && (isDirect(conversation) || isAdmin(conversation));

/** The reactions of a message have this target. */
export const targetOf = ({ messageId }) => `messages/${messageId}`;

/** The title of a conversation: its name, or the other user. */
export const titleOfConversation = (conversation) => (isDirect(conversation) ? conversation.peerId : conversation.name);

/** The line below the title. */
export function subtitleOf(conversation) {
  if (!isMember(conversation)) return "You are no longer a member";
  const stay = conversation.retentionSeconds ? `, messages stay ${durationText(conversation.retentionSeconds)}` : "";
  if (isDirect(conversation)) return `Direct messages${stay}`;
  const members = `${conversation.memberCount} ${conversation.memberCount === 1 ? "member" : "members"}`;
  return `${isChannel(conversation) ? `Channel, ${members}` : members}${stay}`;
}

/** The preview of a conversation's last message. */
export function previewOf(conversation, me) {
  const last = conversation.lastMessage;
  if (!last) return "No messages yet";
  const text = last.deleteTime ? deletedText(last) : last.content.replaceAll(/\s+/g, " ");
  if (last.senderId === me) return `You: ${text}`;
  return isDirect(conversation) ? text : `${last.senderId}: ${text}`;
}

/** What stands in place of a deleted message. */
export function deletedText({ deletedBy }) {
  if (deletedBy === "DELETED_BY_ADMIN") return "Deleted by an admin";
  return deletedBy === "DELETED_BY_MODERATOR" ? "Deleted by a moderator" : "Message deleted";
}

/** What stands above a forwarded message. */
export const forwardedText = ({ forwardCount }) => (forwardCount >= MANY_FORWARDS ? "Forwarded many times" : "Forwarded");

/** "alice, bob and 3 others"; `me` is "you". */
export function namesOf(users, me) {
  const words = users.map((user) => (user === me ? "you" : user)).sort((one, other) => (other === "you") - (one === "you"));
  const rest = words.length - MAX_NAMES;
  if (rest > 1) words.splice(MAX_NAMES, words.length, `${rest} others`);
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

const UNITS = [[86_400, "day"], [3_600, "hour"], [60, "minute"], [1, "second"]];

/** `1 day`, `90 minutes`: in the largest unit of which it is a multiple. */
export function durationText(seconds) {
  const [size, unit] = UNITS.find(([each]) => seconds % each === 0);
  const count = seconds / size;
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** What a `ConversationEvent` says. */
export function eventText({ type, actorId, userIds, role, name, retentionSeconds }, me) {
  const actor = actorId === me ? "You" : actorId || "A moderator";
  const users = namesOf(userIds ?? [], me);
  switch (type) {
    case "CHANGE_TYPE_CREATED":
      return name ? `${actor} created “${name}”` : "The conversation begins";
    case "CHANGE_TYPE_MEMBERS_ADDED":
      return userIds.length === 1 && userIds[0] === actorId ? `${actor} joined` : `${actor} added ${users}`;
    case "CHANGE_TYPE_MEMBER_REMOVED":
      return `${actor} removed ${users}`;
    case "CHANGE_TYPE_MEMBER_LEFT":
      return `${actor} left`;
    case "CHANGE_TYPE_ROLE_CHANGED":
      return role === "ROLE_ADMIN" ? `${actor} made ${users} an admin` : `${actor} made ${users} a member`;
    case "CHANGE_TYPE_CONVERSATION_UPDATED":
      return `${actor} named it “${name}”`;
    case "CHANGE_TYPE_MESSAGE_PINNED":
      return `${actor} pinned a message`;
    case "CHANGE_TYPE_MESSAGE_UNPINNED":
      return `${actor} unpinned a message`;
    case "CHANGE_TYPE_CONVERSATION_CLOSED":
      return `${actor} closed the conversation`;
    case "CHANGE_TYPE_RETENTION_CHANGED":
      return retentionSeconds ? `${actor} lets messages disappear after ${durationText(retentionSeconds)}` : `${actor} lets messages stay`;
    case "CHANGE_TYPE_CONVERTED_TO_CHANNEL":
      return `${actor} made it a channel`;
    default:
      return `${actor} changed the conversation`;
  }
}

/** What the user reads where the server refuses a change. */
export function problemText(error) {
  switch (error.reason) {
    case "LAST_ADMIN":
      return "You are the only admin. Make another member an admin first.";
    case "GROUP_FULL":
      return "A group has at most 500 members. A channel has no limit.";
    case "ADMINS_ONLY":
      return "Only admins may do that.";
    case "NOT_THE_SENDER":
      return "Only the sender may do that.";
    case "MESSAGE_DELETED":
      return "This message was deleted.";
    case "CONVERSATION_NOT_FOUND":
      return "You are no longer a member of this conversation.";
    case "RATE_LIMITED":
      return "That was too fast. Try again in a moment.";
    case "PINS_FULL":
      return "50 messages are pinned already. Unpin one first.";
    case "NO_ANSWER":
      return "The server did not answer.";
    default:
      return error.message || "That did not work.";
  }
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat("en", { weekday: "long" });
const date = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });
const shortDate = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const formatClock = (time) => clock.format(time);

const startOfDay = (time) => new Date(time).setHours(0, 0, 0, 0);

/** `Today`, `Yesterday`, `Friday`, `Friday 6 March`. */
export function formatDay(time, now = Date.now()) {
  const days = Math.round((startOfDay(now) - startOfDay(time)) / 86_400_000);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  return now - time < WEEK_MS ? weekday.format(time) : date.format(time);
}

/** The time in a row of the list: `09:12`, `Yesterday`, `Friday`, `6 Mar`. */
export function formatShort(time, now = Date.now()) {
  const day = formatDay(time, now);
  if (day === "Today") return formatClock(time);
  return now - time < WEEK_MS ? day : shortDate.format(time);
}
