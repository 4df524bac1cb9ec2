import { setTimeout as delay } from 'node:timers/promises'
import { toError } from '../core/errors.ts'
import type { Received } from '../transports/transport.ts'
import type { HandlerLog } from './handler.ts'
import type { Preparer } from './prepare.ts'

const againMs = 1_000

/** What both topologies have. */
interface Loading {
  readonly preparer: Preparer
  readonly log: HandlerLog
  readonly config: { readonly name: string }
  readonly forced: AbortSignal
}

/**
 * The keys of what is encrypted in these messages; undefined when there is nothing to wait for. While they cannot be read (the store is
 * away, a master key is missing) the events wait: none of them is to blame. Resolves to false at a forced stop. Never rejects.
 */
export function loadKeys(
  runtime: Loading,
  items: readonly { readonly message: Received }[],
): Promise<boolean> | undefined {
  if (!runtime.preparer.load) return undefined
  const messages = items.map(({ message }) => message)
  const begin = () => runtime.preparer.load?.(messages)
  try {
    const loading = begin()
    return loading && untilLoaded(runtime, loading, begin)
  } catch (error) {
    return untilLoaded(runtime, Promise.reject(error), begin)
  }
}

async function untilLoaded(
  { log, config, forced }: Loading,
  first: Promise<void>,
  begin: () => Promise<void> | undefined,
): Promise<boolean> {
  for (let loading: Promise<void> | undefined = first; !forced.aborted; loading = begin()) {
    try {
      await loading
      return true
    } catch (thrown) {
      const { message } = toError(thrown)
      const hint = (thrown as { readonly hint?: string }).hint
      log.error('cannot decrypt events; they wait', { handler: config.name, error: message, ...(hint ? { hint } : {}) })
      await delay(againMs, undefined, { signal: forced }).catch(() => {})
    }
  }
  return false
}
