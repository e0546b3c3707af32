// The addresses of gateways.

const PATH = "/ws/connect";

/** The URLs of sockets for `ws:`, `wss:`, `http:` and `https:` URLs; one without a path gets that of the gateway. */
export function socketUrls(urls: string | string[]): string[] {
  const all = (typeof urls === "string" ? [urls] : urls).map(socketUrl);
  if (all.length === 0) throw new TypeError("there is no URL");
  return all;
}

function socketUrl(text: string): string {
  const url = new URL(text);
  if (url.protocol === "http:" || url.protocol === "https:") url.protocol = url.protocol.replace("http", "ws");
  if (url.protocol !== "ws:" && url.protocol !== "wss:") throw new TypeError(`not a ws:// or wss:// URL: ${text}`);
  if (url.pathname === "/") url.pathname = PATH;
  return url.href;
}
