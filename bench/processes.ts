/**
 * What processes use, as Linux counts it: seconds of CPU and resident memory.
 *
 * @module
 */

/** Linux tells times to user space in hundredths of a second, whatever its own clock is. */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU, by who used them. */
export type CpuSeconds = Readonly<Record<string, number>>;

/**
 * Seconds of CPU that a process has used, with all its threads.
 *
 * @param pid Its id.
 * @param children Whether those of its children count: of the ones that it has waited for, and of those
 * that run.
 */
export async function cpuSeconds(pid: number, children: boolean): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  // The name may hold spaces and brackets; what follows it is fields 3 and on.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  const [own, waitedFor] = [fields[11]! + fields[12]!, fields[13]! + fields[14]!];
  const seconds = own / TICKS_PER_SECOND;
  if (!children) return seconds;
  let sum = seconds + waitedFor / TICKS_PER_SECOND;
  const ids = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
  for (const id of ids.split(" ").filter(Boolean)) {
    // One that ends just now counts the next time, as one that was waited for.
    sum += await cpuSeconds(Number(id), false).catch(ended);
  }
  return sum;
}

function ended(error: unknown): number {
  // Reading of a process that goes fails with ESRCH, which has no name in Deno.
  if (error instanceof Deno.errors.NotFound || /os error 3\b/.test(String(error))) return 0;
  throw error;
}

/** Seconds of CPU of the clients that this process has started and waited for. */
export async function clientSeconds(): Promise<number> {
  const stat = await Deno.readTextFile("/proc/self/stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  return (fields[13]! + fields[14]!) / TICKS_PER_SECOND;
}

/** The most memory that a process ever had resident, in bytes. */
export async function peakBytes(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

/** Which processors this process and all that it starts may run on, e.g. `0-1`. */
export async function allowedCpus(): Promise<string> {
  const status = await Deno.readTextFile("/proc/self/status");
  return /^Cpus_allowed_list:\s+(.+)$/m.exec(status)![1]!;
}
