import { EvtError } from '../../core/errors.ts'
import type { LogEntry, LogReader } from '../../store/log.ts'
import { isDamage } from '../../store/salvage.ts'
import type { Problems } from '../problems.ts'

/** The first entry after a position, as far as it can be read; undefined when there is none. */
type Salvage = (after: bigint, error: Error) => Promise<LogEntry | undefined>

/**
 * A reader that stops at nothing that cannot be read however often it is tried, a damaged row of the outbox: that would stall
 * all groups before it. What `salvage` finds of it is handed on in its place, and told as a problem that names its position.
 */
export function readAround(reader: LogReader, problems: Problems, salvage: Salvage): LogReader {
  async function read(after: bigint, max: number): Promise<readonly LogEntry[]> {
    try {
      return await reader.read(after, max)
    } catch (error) {
      if (!isDamage(error)) throw error
      if (max <= 1) return readDamaged(after, error)
      const half = max >> 1
      const first = await read(after, half)
      // The first half may have gone on into a later partition.
      const last = first.at(-1)?.position ?? after
      const rest = await read(after + BigInt(half), max - half)
      return [...first, ...rest.filter(({ position }) => position > last)]
    }
  }

  async function readDamaged(after: bigint, error: Error): Promise<readonly LogEntry[]> {
    const entry = await salvage(after, error)
    // Not a row: something else is wrong, and may be mended.
    if (entry === undefined) throw error
    problems.report(unreadable(entry.position, error), 0)
    return [entry]
  }

  return { ...reader, read }
}

function unreadable(position: bigint, cause: Error): EvtError {
  return new EvtError(
    'decode',
    `cannot read the event at position ${position}: ${cause.message}; it is a dead letter`,
    {
      hint: `select * from evt.log where position = ${position} says which row of evt.outbox it is`,
      cause,
    },
  )
}
