import { fromHeaders } from '../../core/codec/headers.ts'
import { toError } from '../../core/errors.ts'
import type { Masker } from '../../core/masker.ts'
import { compilePatterns } from '../../core/pattern.ts'
import type { HandlerLog } from '../../handle/handler.ts'
import type { Store } from '../../store/connection.ts'
import { createLogReader, type LogEntry, type LogReader } from '../../store/log.ts'
import { readLoggedPatterns } from '../../store/payload-logging.ts'
import { holdTask, leaveTask, saveTask, type WatchTask } from '../../store/watch-tasks.ts'
import { startTask } from '../run-task.ts'

export interface PayloadsOptions {
  readonly store: Store
  readonly instance: string
  readonly masker: Masker
  readonly log: HandlerLog
  readonly calm: HandlerLog
  readonly everyMs: number
}

const page = 500
/** Lines of one look; a log that is flooded is read by nobody. */
const mostLines = 200

/**
 * Logs events of the types that an operator has switched on, masked, each once over all bridges. They are read from the log, so that handling
 * does not know of it.
 */
export function startPayloads({ store, instance, masker, log, calm, everyMs }: PayloadsOptions): {
  stop(): Promise<void>
} {
  const task: WatchTask = { task: 'payloads', holder: instance, leaseMs: Math.max(10_000, 3 * everyMs) }
  const ending = new AbortController()
  let reader: LogReader | undefined

  async function step(): Promise<void> {
    const now = await holdTask(store, task)
    if (!now) return
    const patterns = await readLoggedPatterns(store)
    if (patterns.length === 0) {
      if (now.head > now.position) await saveTask(store, task, { position: now.head, memory: {} })
      return
    }
    reader ??= createLogReader(store)
    const wanted = compilePatterns(patterns)
    let [at, lines, left] = [now.position, 0, 0]
    while (at < now.head && !ending.signal.aborted) {
      const entries = await reader.read(at, page)
      const chosen = entries.filter(({ type }) => wanted.matches(type))
      const room = Math.max(0, mostLines - lines)
      // First the place, then the lines: after a crash one is missing rather than there twice.
      at = entries.at(-1)?.position ?? now.head
      await saveTask(store, task, { position: at, memory: {} })
      for (const entry of chosen.slice(0, room)) log.info('payload', payloadOf(entry, masker))
      lines += chosen.length
      left += Math.max(0, chosen.length - room)
    }
    if (left > 0) log.warn('payloads were left out of the log', { events: left, atOnce: mostLines })
  }

  const onError = (error: unknown) => calm.warn('cannot log payloads', { error: toError(error).message })
  const running = startTask({ everyMs, signal: ending.signal, step, onError })
  return {
    async stop() {
      ending.abort()
      await running
      await leaveTask(store, task).catch(() => {})
      await reader?.close()
    },
  }
}

function payloadOf(entry: LogEntry, masker: Masker): object {
  const facts = { type: entry.type, event: entry.id, position: String(entry.position) }
  try {
    const event = fromHeaders(entry.headers, Buffer.from(entry.dataText), { verify: false })
    const { subject, correlationId: correlation, source } = event
    return { ...facts, subject, correlation, source, data: masker.data(event, event.data) }
  } catch (error) {
    // Nobody knows which of its fields are sensitive.
    return { ...facts, error: toError(error).message }
  }
}
