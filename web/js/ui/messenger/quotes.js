// The messages that replies quote: from the timeline, or read alone where the timeline does not reach back to them.

export class Quotes {
  #context;
  #id;
  #onLoaded;
  #read = new Map(); // id of a message to what a quote shows; null: not there, or not yet

  /** `context`: `{messenger, client, me}`; `onloaded()` is called when another quote can be shown. */
  constructor(context, conversationId, onloaded) {
    this.#context = context;
    this.#id = conversationId;
    this.#onLoaded = onloaded;
  }

  /** `{senderId, own, content, deleted}` of a message; null: it cannot be shown. */
  of(messageId) {
    const found = this.#context.messenger.timeline(this.#id).items.find((item) => item.messageId === messageId);
    if (found) return found;
    if (!this.#read.has(messageId)) this.#load(messageId);
    return this.#read.get(messageId);
  }

  async #load(messageId) {
    this.#read.set(messageId, null);
    try {
      const { messages } = await this.#context.client.call("list_messages", { conversation_id: this.#id, around: messageId, page_size: 1 });
      const quoted = messages.find(({ message_id: id }) => id === messageId);
      if (!quoted) return;
      const { sender_id: senderId, content, delete_time: deleted } = quoted;
      this.#read.set(messageId, { senderId, own: senderId === this.#context.me, content, deleted: Boolean(deleted) });
      this.#onLoaded();
    } catch {
      // It is from before this user's time: the quote says no more than that there was a message.
    }
  }
}
