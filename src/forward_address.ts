/**
 * Whether a URL leads back to ourselves: forwarding there would go round for ever.
 *
 * @module
 */

/** What stands for this machine whatever its addresses are. */
const THIS_MACHINE = /^(?:localhost|.+\.localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|::1?)$/;

/** Addresses that one listens on to be reached by every address of the machine. */
const EVERY_ADDRESS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/**
 * Says whether a request to `url` would arrive at who listens on `host` and `port`. Names are not
 * looked up: `localhost`, the loopback addresses and `0.0.0.0` are known, any other name counts only
 * when it is the same name or among `addresses`.
 *
 * @param url Where to.
 * @param host The name or address that is listened on.
 * @param port The port that is listened on.
 * @param addresses Further names and addresses of this machine, such as those of its interfaces.
 * @throws {TypeError} If `url` is none.
 *
 * @example Several names of one place
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert(isOwnAddress("http://localhost:4318", "127.0.0.1", 4318));
 * assert(isOwnAddress("http://[::1]:4318/otlp", "0.0.0.0", 4318));
 * assert(!isOwnAddress("http://localhost:4319", "127.0.0.1", 4318));
 * assert(!isOwnAddress("https://example.org:4318", "127.0.0.1", 4318));
 * ```
 */
export function isOwnAddress(
  url: string | URL,
  host: string,
  port: number,
  addresses: readonly string[] = [],
): boolean {
  const { protocol, hostname, port: given } = new URL(url);
  const target = plainHost(hostname);
  const own = plainHost(host);
  const targetPort = given === "" ? (protocol === "https:" ? 443 : 80) : Number(given);
  if (targetPort !== port) return false;
  if (target === own) return true;
  const listensAtTarget = EVERY_ADDRESS.has(own) || THIS_MACHINE.test(own);
  if (listensAtTarget && THIS_MACHINE.test(target)) return true;
  // An address of an interface is reached by what listens on it, or on all of them.
  return EVERY_ADDRESS.has(own) && addresses.map(plainHost).includes(target);
}

/** Without brackets, without the dot of a full name, IPv4 not dressed as IPv6. */
function plainHost(host: string): string {
  const name = host.toLowerCase().replace(/^\[|\]$/g, "").replace(/\.$/, "");
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(name);
  if (mapped === null) return name.replace(/^::ffff:(?=\d+\.)/, "");
  const [high, low] = mapped.slice(1).map((part) => parseInt(part, 16)) as [number, number];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
