/** µs since `epochNs` of CLOCK_MONOTONIC, which all threads and processes of one host share. */
export function createRunClock(epochNs: bigint): () => number {
  return () => Number(process.hrtime.bigint() - epochNs) / 1_000
}

export const monotonicNs = (): bigint => process.hrtime.bigint()
