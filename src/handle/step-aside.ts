import { setTimeout as delay } from 'node:timers/promises'
import { toError } from '../core/errors.ts'
import type { Registry } from '../core/registry.ts'
import { type NewestVersions, readNewer } from '../store/newer-contracts.ts'
import type { HandlerRuntime } from './handler-runtime.ts'

const askEveryMs = 500

/** Whether events of a handler wait here for a contract that another process has, which runs the handler too. */
export interface StepAside {
  /** Resolves when it is so, or with the signal. Nothing is asked while nothing waits. */
  untilWanted(signal: AbortSignal): Promise<void>
  /** Resolves when no such process is left, or with the signal. */
  untilOver(signal: AbortSignal): Promise<void>
}

export function createStepAside(runtime: HandlerRuntime, registry: Registry): StepAside {
  const { config, instance, store, log } = runtime
  const newestHere = (type: string) => registry.get(type)?.version ?? 0

  /** It knows what this process does, of all that the handler may get, and what waits: so no two ever step aside for each other. */
  function isNewer(other: NewestVersions, heldFor: readonly string[]): boolean {
    const knowsOurs = registry
      .types()
      .filter((type) => config.wanted.matches(type))
      .every((type) => (other.get(type) ?? 0) >= newestHere(type))
    return knowsOurs && heldFor.some((held) => isMissing(held) && (other.get(typeOf(held)) ?? 0) >= versionOf(held))
  }

  const isMissing = (held: string) => newestHere(typeOf(held)) < versionOf(held)

  async function isWanted(waitingOnly: boolean): Promise<boolean> {
    const heldFor = [...runtime.heldFor].filter(isMissing)
    if (heldFor.length === 0) return false
    const { waiting, others } = await readNewer(store, { handler: config.name, instance, heldFor })
    if (waitingOnly) for (const held of heldFor) if (!waiting.includes(held)) runtime.heldFor.delete(held)
    return others.some((other) => isNewer(other, waitingOnly ? waiting : heldFor))
  }

  async function until(answer: boolean, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await delay(askEveryMs, undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      const found = await isWanted(answer).catch(async (error: unknown) => {
        log.warn('cannot ask who knows a contract; trying again', {
          handler: config.name,
          error: toError(error).message,
        })
        await runtime.storeIsBack()
        return !answer
      })
      if (found === answer) return
    }
  }

  return {
    untilWanted: (signal) => until(true, signal),
    untilOver: (signal) => until(false, signal),
  }
}

const typeOf = (held: string) => held.slice(0, held.lastIndexOf('@'))
const versionOf = (held: string) => Number(held.slice(held.lastIndexOf('@') + 1))
