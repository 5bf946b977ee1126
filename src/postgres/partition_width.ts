/**
 * How much time one partition covers.
 *
 * @module
 */

/** The time that one partition covers: an hour, a day, a week from Monday or a month, in UTC. */
export type PartitionWidth = "hour" | "day" | "week" | "month";

const HOURS: Readonly<Record<PartitionWidth, number>> = { hour: 1, day: 24, week: 168, month: 730 };

/** Planning a query that names no time slows down with every partition. */
const MAX_PARTITIONS = 50;

/**
 * The width of partitions for a retention: the finest from a day up with fewer than 50 partitions.
 *
 * @param width What the user asked for, which is taken as it is.
 * @param retentionDays How long telemetry is kept, in days.
 * @returns The width, and a warning if it makes 50 partitions or more, because queries get slow.
 */
export function chooseWidth(
  width: PartitionWidth | undefined,
  retentionDays: number,
): { width: PartitionWidth; warning?: string } {
  const count = (width: PartitionWidth) => Math.ceil(retentionDays * 24 / HOURS[width]);
  const fitting = (["day", "week"] as const).find((width) => count(width) < MAX_PARTITIONS) ??
    "month";
  const chosen = width ?? fitting;
  if (count(chosen) < MAX_PARTITIONS) return { width: chosen };
  const advice = HOURS[chosen] < HOURS[fitting]
    ? `partition by ${fitting}`
    : "keep telemetry for a shorter time";
  return {
    width: chosen,
    warning: `${retentionDays} days by ${chosen} make ${count(chosen)} partitions a signal, ` +
      `and queries without a time get slow from ${MAX_PARTITIONS} on: ${advice}`,
  };
}
