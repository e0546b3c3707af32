// What a user sets for a conversation alone: mute, pin, archive, mark as unread.

import { isMuted } from "./texts.js";

const FOREVER_MS = 10 * 365 * 86_400_000;

/** `[{name, icon, label, state, on, done, run}]`: `label` is the action, `state` the name of a switch that is on or off. */
export function conversationActions(messenger, conversation) {
  const { conversationId: id, pinned, archived, markedUnread, unreadCount } = conversation;
  const muted = isMuted(conversation);
  const isUnread = markedUnread || unreadCount > 0;
  const read = () => {
    if (unreadCount) messenger.markRead(id);
    return markedUnread ? messenger.markUnread(id, false) : Promise.resolve();
  };
  return [
    { name: "pin", icon: "pin", on: pinned, label: pinned ? "Unpin" : "Pin", state: pinned ? "Pinned" : "Pin", done: pinned ? "No longer pinned." : "Pinned.",
      run: () => messenger.pin(id, !pinned) },
    { name: "mute", icon: "mute", on: muted, label: muted ? "Unmute" : "Mute", state: muted ? "Muted" : "Mute", done: muted ? "No longer muted." : "Muted.",
      run: () => messenger.mute(id, muted ? 0 : Date.now() + FOREVER_MS) },
    { name: "unread", icon: "unread", on: isUnread, label: isUnread ? "Mark as read" : "Mark as unread", state: isUnread ? "Unread" : "Mark as unread",
      done: isUnread ? "Marked as read." : "Marked as unread.", run: isUnread ? read : () => messenger.markUnread(id, true) },
    { name: "archive", icon: "archive", on: archived, label: archived ? "Move back to the messages" : "Archive", state: archived ? "Archived" : "Archive",
      done: archived ? "Moved back to the messages." : "Archived.", run: () => messenger.archive(id, !archived) },
  ];
}
