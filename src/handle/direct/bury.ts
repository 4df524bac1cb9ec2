import { setTimeout as delay } from 'node:timers/promises'
import { type BackoffPolicy, backoffMs } from '../../core/backoff.ts'
import { EvtError, toError } from '../../core/errors.ts'
import type { Published } from '../../transports/transport.ts'
import type { Job } from './direct-lane.ts'
import type { DirectRuntime } from './direct-runtime.ts'

export interface Death {
  readonly class: string
  readonly message: string
  readonly attempts: number
  /** Of the last attempt, where there was one. */
  readonly durationMs?: number
}

const again: BackoffPolicy = { backoff: 'exponential', initialMs: 100, maxMs: 5_000 }
const oneTryMs = 10_000

/**
 * True when the transport has confirmed the dead letter: only then may the original be settled. Tries for as long as the lane is ours: what
 * waits behind it in its line waits. False when the lane was lost or the process stops: it comes again.
 */
export async function bury(runtime: DirectRuntime, { line, message }: Job, death: Death): Promise<boolean> {
  const { owned } = line
  const facts = { handler: runtime.config.name, event: message.id, lane: owned.lane.id }
  const signal = AbortSignal.any([owned.lane.lost, runtime.forced])
  const error = { class: death.class, message: death.message }
  const burial = { message, group: runtime.group, error, attempts: death.attempts }
  for (let tries = 1; !signal.aborted; tries++) {
    const result = await tryOnce(runtime, message.topic, burial, signal)
    if (result.state === 'stored' || result.state === 'duplicate') {
      runtime.meter.dead(message.headers['ce-type'])
      const grave = runtime.transport.deadLetters?.nameOf(message.topic)
      runtime.log.error('an event became a dead letter', {
        ...facts,
        in: grave,
        error: `${error.class}: ${error.message}`,
      })
      return true
    }
    const why = 'error' in result ? result.error.message : result.state
    runtime.log.error('cannot write a dead letter; its subject waits', { ...facts, error: why })
    await delay(backoffMs(again, tries, Math.random()), undefined, { signal }).catch(() => {})
  }
  return false
}

type DeadLetters = NonNullable<DirectRuntime['transport']['deadLetters']>

async function tryOnce(
  { transport }: DirectRuntime,
  topic: string,
  burial: Parameters<DeadLetters['bury']>[1][number],
  signal: AbortSignal,
): Promise<Published> {
  try {
    const within = AbortSignal.any([signal, AbortSignal.timeout(oneTryMs)])
    const [result] = (await transport.deadLetters?.bury(topic, [burial], within)) ?? []
    if (result) return result
    throw new EvtError('internal', `${transport.name} gave no answer`)
  } catch (thrown) {
    const error = thrown instanceof EvtError ? thrown : new EvtError('internal', toError(thrown).message)
    return { state: 'unknown', error }
  }
}
