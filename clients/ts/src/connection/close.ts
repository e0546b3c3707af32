// Closes sockets; the close codes.

export const NORMAL_CLOSE = 1000; // ends the session
export const RECONNECTING = 4000; // as any other code but 1000: the session can be resumed
export const TIMED_OUT = 4002;
export const BAD_TOKEN = 4500;
export const REPLACED = 4504;

/** Whether the server forbids to reconnect. */
export const isTerminal = (code: number): boolean => code >= 4500 && code < 5000;

/** Closes a socket; one that is still connecting when it opens, as browsers warn of a close before that. */
export function closeSocket(socket: WebSocket, code: number): void {
  if (socket.readyState === socket.CONNECTING) socket.onopen = () => socket.close(code);
  else socket.close(code);
}
