import { formatCount } from '../../core/quantity.ts'
import { askConsent, type ConsentAnswers } from '../line/consent.ts'
import type { Runtime } from '../runtime.ts'
import type { Buried } from './buried.ts'

export interface ParkOptions extends ConsentAnswers {
  readonly moveBeside: boolean
  readonly typed: ReadonlySet<string>
}

/**
 * The dead letters to look at: where a look would shorten them, those of the place beside it, to which they are moved with consent. Without the
 * flag what was given: looking then refuses by itself. Undefined when it was a dry run.
 */
export async function parked(buried: Buried, options: ParkOptions, runtime: Runtime): Promise<Buried | undefined> {
  const { letters, topic, signal } = buried
  const found = await letters.beside?.(topic)
  const canAsk = runtime.stdin.isTTY && runtime.output.format === 'text'
  if (letters.moveBeside === undefined || found === undefined || !(options.moveBeside || canAsk)) return buried
  if (found.messages > 0) {
    const plan = {
      verb: 'move',
      noun: found.messages === 1 ? 'dead letter' : 'dead letters',
      count: found.messages,
      target: buried.shown,
      consequence: `they cannot be looked at where they lie without being counted down: they go to ${found.to}, each confirmed before it leaves`,
      options,
      typed: options.typed,
    }
    if (!(await askConsent(runtime, plan))) return undefined
    const moved = await letters.moveBeside(topic, signal)
    runtime.output.notice(`moved ${formatCount(moved)} to ${found.to}: name that queue to show and replay them`)
  }
  return { ...buried, topic: found.to }
}
