import { setTimeout as delay } from 'node:timers/promises'
import { toError } from '../core/errors.ts'
import type { Registry } from '../core/registry.ts'
import { type NewestVersions, readNewer } from '../store/newer-contracts.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import type { OwnedLane } from './item.ts'

const askEveryMs = 500
/** How long another one has to be well before it is trusted again; twice as long each time that it soon is not. */
const trustMs = { first: 10_000, most: 300_000 }

/** `type@version` of what waits here and another process can handle now. */
export type KnownElsewhere = ReadonlySet<string>

/** Whether events of a handler wait here for a contract that another process has, which runs the handler too and is well. */
export interface StepAside {
  /** Resolves when it is so; with nothing at the signal. Nothing is asked while nothing waits. */
  untilWanted(signal: AbortSignal): Promise<KnownElsewhere>
  /** Resolves when no such process is left, or with the signal; until then tells now and then what others know. */
  untilOver(signal: AbortSignal, onKnown: (known: KnownElsewhere) => Promise<void>): Promise<void>
}

export interface StepAsideOptions {
  readonly runtime: HandlerRuntime
  readonly registry: Registry
  readonly owned: ReadonlySet<OwnedLane>
}

export function createStepAside({ runtime, registry, owned }: StepAsideOptions): StepAside {
  const { config, instance, store, log } = runtime
  const newestHere = (type: string) => registry.get(type)?.version ?? 0
  let patienceMs = 0
  /** It waits elsewhere now. */
  let given: KnownElsewhere = new Set()

  /** Only of one that knows what this process does, of all that the handler may get: so no two ever step aside for each other. */
  function knownTo(other: NewestVersions, heldFor: readonly string[]): readonly string[] {
    const knowsOurs = registry
      .types()
      .filter((type) => config.wanted.matches(type))
      .every((type) => (other.get(type) ?? 0) >= newestHere(type))
    return knowsOurs ? heldFor.filter((held) => (other.get(typeOf(held)) ?? 0) >= versionOf(held)) : []
  }

  const isMissing = (held: string) => newestHere(typeOf(held)) < versionOf(held)

  async function look(more: KnownElsewhere = new Set()): Promise<KnownElsewhere> {
    const lanes = [...owned].filter((one) => !one.closed)
    const heldFor = [...new Set([...more, ...lanes.flatMap((one) => [...one.heldFor])])].filter(isMissing)
    if (heldFor.length === 0) return new Set()
    const { waiting, others } = await readNewer(store, { handler: config.name, instance, heldFor })
    const gone = heldFor.filter((held) => !waiting.includes(held))
    for (const one of lanes) for (const held of gone) one.heldFor.delete(held)
    return new Set(others.flatMap((other) => knownTo(other, [...more, ...waiting])))
  }

  /** Undefined when the store did not answer; it does again. */
  async function lookAgain(signal: AbortSignal, more?: KnownElsewhere): Promise<KnownElsewhere | undefined> {
    await delay(askEveryMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) return undefined
    try {
      return await look(more)
    } catch (error) {
      log.warn('cannot ask who knows a contract; trying again', {
        handler: config.name,
        error: toError(error).message,
      })
      await runtime.storeIsBack()
      return undefined
    }
  }

  return {
    async untilWanted(signal) {
      let wellSinceMs = Number.POSITIVE_INFINITY
      while (!signal.aborted) {
        const known = await lookAgain(signal)
        if (known === undefined) continue
        const nowMs = performance.now()
        wellSinceMs = known.size === 0 ? Number.POSITIVE_INFINITY : Math.min(wellSinceMs, nowMs)
        if (nowMs - wellSinceMs < patienceMs) continue
        given = known
        return known
      }
      return new Set()
    },
    async untilOver(signal, onKnown) {
      const sinceMs = performance.now()
      while (!signal.aborted) {
        const known = await lookAgain(signal, given)
        if (known?.size === 0) break
        if (known) await onKnown(known)
      }
      const wasLong = performance.now() - sinceMs > trustMs.most
      patienceMs = wasLong ? trustMs.first : Math.min(Math.max(trustMs.first, patienceMs * 2), trustMs.most)
    },
  }
}

const typeOf = (held: string) => held.slice(0, held.lastIndexOf('@'))
const versionOf = (held: string) => Number(held.slice(held.lastIndexOf('@') + 1))
