import { EvtError } from '../../core/errors.ts'
import type { LogEntry, LogReader } from '../../store/log.ts'
import type { Problems } from './problems.ts'

/**
 * A reader that passes over what cannot be read however often it is tried, a damaged row of the outbox, instead of stalling
 * all groups before it. Each is told as a problem that names its position.
 */
export function readAround(reader: LogReader, problems: Problems): LogReader {
  async function read(after: bigint, max: number): Promise<readonly LogEntry[]> {
    try {
      return await reader.read(after, max)
    } catch (error) {
      if (!isDamage(error)) throw error
      if (max <= 1) {
        problems.report(passedOver(after + 1n, error), 0)
        return []
      }
      const half = max >> 1
      const first = await read(after, half)
      const rest = await read(after + BigInt(half), max - half)
      // The first half may have gone on into a later partition.
      const last = first.at(-1)?.position ?? after
      return [...first, ...rest.filter(({ position }) => position > last)]
    }
  }
  return { ...reader, read }
}

/** About the rows and lasting: data that PostgreSQL finds corrupted, or that JavaScript cannot hold. */
function isDamage(error: unknown): error is Error {
  if (error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError) return true
  return error instanceof Error && ['XX001', 'XX002'].includes(String((error as { code?: unknown }).code))
}

function passedOver(position: bigint, cause: Error): EvtError {
  return new EvtError('decode', `cannot read the event at position ${position}: ${cause.message}; it is passed over`, {
    hint: `select * from evt.log where position = ${position} says which row of evt.outbox it is`,
    cause,
  })
}
