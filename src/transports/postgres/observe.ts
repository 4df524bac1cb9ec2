import type { LogReader } from '../../store/log.ts'
import type { ObserveOptions, Received, Selector } from '../transport.ts'
import { createWanted } from '../wanted.ts'
import { toReceived } from './received.ts'

const readAtOnce = 500

/** What was sequenced, by position. Reads only: it works on a standby too. */
export async function* observeLog(
  reader: LogReader,
  { patterns }: Selector,
  { from, follow, signal }: ObserveOptions,
): AsyncGenerator<readonly Received[]> {
  const wanted = createWanted(patterns)
  const end = await reader.head()
  let position = await startOf(reader, from, end)
  while (!signal.aborted && (follow || position < end)) {
    const entries = await reader.read(position, readAtOnce)
    const shown = entries.filter((entry) => wanted(entry.type) && (follow || entry.position <= end))
    if (shown.length > 0) yield shown.map((entry) => toReceived(entry, 1))
    position = entries.at(-1)?.position ?? position
    if (entries.length > 0) continue
    if (!follow) return
    await reader.beyond(position, signal)
  }
}

async function startOf(reader: LogReader, from: ObserveOptions['from'], head: bigint): Promise<bigint> {
  if (from === 'now') return head
  if (from === 'start') return reader.start()
  return 'position' in from ? BigInt(from.position) - 1n : reader.positionAt(from.timeMs)
}
