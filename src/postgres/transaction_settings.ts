/**
 * What our sessions and transactions set for themselves, because a server, a database or a role may
 * say otherwise.
 *
 * @module
 */

/** How values look as text: bytes in hex, doubles with all of their digits, times as ISO 8601 in UTC. */
const TEXT_FORMS: readonly (readonly [name: string, value: string])[] = [
  ["timezone", "'UTC'"],
  ["datestyle", "'ISO, YMD'"],
  ["bytea_output", "'hex'"],
  ["extra_float_digits", "1"],
];

/** For a session of ours. */
export const SESSION_SETTINGS: string = TEXT_FORMS
  .map(([name, value]) => `set ${name} = ${value}`)
  .join("; ");

/**
 * For each transaction, because not all sessions are ours to set up, and a pooler forgets what they
 * set. Others have to be seen that commit meanwhile: whoever waited for a lock goes by what they did.
 * And a client that died in a transaction must not hold its locks; nothing of ours idles that long.
 */
export const TRANSACTION_SETTINGS: string = [
  "set transaction isolation level read committed",
  "set local idle_in_transaction_session_timeout = '60s'",
  ...TEXT_FORMS.map(([name, value]) => `set local ${name} = ${value}`),
].join("; ");
