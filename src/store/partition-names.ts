/** Positions per partition of the log; SQL's `evt.log_chunk_size()`. */
export const logChunkSize = 5_000_000n

/** Readers name partitions themselves, because a plan over the parent would lock and open every one. */
export function logChunkTable(position: bigint): string {
  return `evt.log_${String(position / logChunkSize).padStart(8, '0')}`
}

/** A class's events of one day: a partition of the outbox. */
export interface DayOfClass {
  readonly class: string
  /** `2026-11-21` */
  readonly day: string
}

/** `day` as `2026-11-21`. Names of classes are checked by the database: letters and digits. */
export function outboxLeaf(eventClass: string, day: string): string {
  return `evt.outbox_${eventClass}_${day.replaceAll('-', '')}`
}
