import { setTimeout as delay } from 'node:timers/promises'
import { EvtError } from '../../core/errors.ts'
import type { ObserveOptions } from '../transport.ts'
import type { RedisContext } from './context.ts'
import { compareIds, firstId, idBefore } from './entry-id.ts'
import { explainWrongType, isOutage, isReply, translateError } from './errors.ts'
import { type FoundStream, findStreams } from './find-streams.ts'
import { type Found, readHistory } from './history.ts'
import { type Cursor, lastIdOf } from './pages.ts'

/** How often streams that appeared or were made anew are looked for; less often where looking takes long. */
const lookMs = 1_000
const retryMs = 250
/** Who does not follow waits for an end: an outage in between may take so long. */
const patienceMs = 10_000
const checkedAtOnce = 100

/** The streams that one observer reads. */
export interface Watched {
  /** Finds what there is. Throws for a named stream that cannot be read. */
  open(): Promise<void>
  readHistory(): AsyncGenerator<readonly Found[]>
  readable(): readonly Cursor[]
  /** Looks, behind the reader's back and not too often, for streams that appeared, came back or were made anew. */
  lookAgain(): void
  /** Reads; an outage is waited for, a stream that cannot be read any more is put aside: then there is nothing this time. */
  survive(read: () => Promise<readonly Found[]>): Promise<readonly Found[]>
}

interface WatchedStream extends FoundStream, Cursor {
  /** Where it ended when it was found. */
  readonly through: string
  aside: boolean
}

export function createWatched(context: RedisContext, names: readonly string[], options: ObserveOptions): Watched {
  const {
    connections,
    options: { place },
    onProblem,
  } = context
  const { client } = connections
  const { follow, signal, from } = options
  const watched = new Map<string, WatchedStream>()
  const told = new Set<string>()
  let looking = false
  let nextLook = 0
  let turn = 0
  let failingSince: number | undefined

  function tell(error: EvtError): void {
    if (told.has(error.message)) return
    if (told.size >= 100) told.clear()
    told.add(error.message)
    onProblem?.(error)
  }

  const explain = (error: unknown, stream: string) => explainWrongType(error, place, stream, (key) => client.type(key))

  async function watch(found: FoundStream, isNew: boolean): Promise<void> {
    try {
      const end = (await lastIdOf(client, found.stream)) ?? firstId
      const after = startOf(from) ?? (isNew ? firstId : end)
      watched.set(found.stream, { ...found, after, through: end, aside: false })
    } catch (error) {
      if (isOutage(error) || !(found.byGlob || isNew)) throw await explain(error, found.stream)
      tell(await explain(error, found.stream))
      watched.set(found.stream, { ...found, after: startOf(from) ?? firstId, through: firstId, aside: true })
    }
  }

  async function find(isNew: boolean): Promise<void> {
    const found = await findStreams(context, names, new Set(watched.keys()), signal)
    for (let at = 0; at < found.length && !signal.aborted; at += checkedAtOnce)
      await Promise.all(found.slice(at, at + checkedAtOnce).map((one) => watch(one, isNew)))
  }

  /** A stream that was put aside may be one again; one that was removed and made anew may have begun with lower ids. */
  async function check(one: WatchedStream): Promise<void> {
    const before = one.after
    const last = await generatedId(one.stream).catch((error: unknown) => {
      if (isReply(error, 'NOPERM') || isReply(error, 'WRONGTYPE')) return undefined
      throw error
    })
    one.aside &&= last === undefined
    if (last === undefined || one.after !== before || compareIds(last, before) >= 0 || !readOnce(one)) return
    one.after = firstId
    const problem = `cannot go on in ${one.stream} where it was: the stream was made anew; it is shown from its start`
    tell(new EvtError('conflict', problem, { hint: 'what was between is gone from Redis' }))
  }

  // Positions that the reader was given may lie beyond the end of the stream.
  const readOnce = (one: WatchedStream) => one.after !== startOf(from)

  /** Greater or equal to every id that the stream ever had; undefined when there is none. */
  async function generatedId(stream: string): Promise<string | undefined> {
    const facts = await client.xinfo('STREAM', stream).catch((error: unknown) => {
      if (/no such key/.test(String(error))) return []
      throw error
    })
    const at = (facts as unknown[]).indexOf('last-generated-id')
    return at < 0 ? undefined : String((facts as unknown[])[at + 1])
  }

  async function look(): Promise<void> {
    const started = performance.now()
    try {
      await find(true)
      const all = [...watched.values()]
      const some = Array.from({ length: Math.min(all.length, checkedAtOnce) }, () => all[turn++ % all.length])
      await Promise.all(some.map((one) => one && check(one)))
    } catch (error) {
      if (!signal.aborted && !isOutage(error)) tell(translateError(error, place))
    }
    nextLook = performance.now() + Math.max(lookMs, 20 * (performance.now() - started))
    looking = false
  }

  /** Waits, or puts aside what stands in the way; throws where neither helps. */
  async function mend(error: unknown): Promise<void> {
    if (signal.aborted) return
    failingSince ??= performance.now()
    const patient = follow || performance.now() - failingSince < patienceMs
    if (isOutage(error) && patient) return void (await delay(retryMs, undefined, { signal }).catch(() => {}))
    const aside = await putAside()
    if (aside === 0 && !follow) throw translateError(error, place)
    if (aside > 0) return
    tell(translateError(error, place))
    await delay(lookMs, undefined, { signal }).catch(() => {})
  }

  async function putAside(): Promise<number> {
    const failed = await Promise.all(
      readable().map(async (one) => {
        const error: unknown = await client.xrange(one.stream, '-', '+', 'COUNT', 1).then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
        if (error === undefined || isOutage(error)) return false
        const explained = await explain(error, one.stream)
        if (!follow && !one.byGlob) throw explained
        one.aside = true
        tell(explained)
        return true
      }),
    )
    return failed.filter(Boolean).length
  }

  const readable = () => [...watched.values()].filter(({ aside }) => !aside)

  return {
    async open() {
      for (let done = false; !done && !signal.aborted; ) {
        try {
          await find(false)
          done = true
        } catch (error) {
          if (!isOutage(error)) throw error
          await mend(error)
        }
      }
      nextLook = performance.now() + lookMs
    },
    async *readHistory() {
      for (let done = false; !done && !signal.aborted; ) {
        const stretches = readable().map((cursor) => ({ cursor, through: cursor.through }))
        try {
          for await (const found of readHistory(client, stretches, signal)) {
            failingSince = undefined
            yield found
          }
          done = true
        } catch (error) {
          await mend(error)
        }
      }
    },
    readable,
    lookAgain() {
      if (looking || performance.now() < nextLook) return
      looking = true
      void look()
    },
    async survive(read) {
      try {
        const found = await read()
        failingSince = undefined
        return found
      } catch (error) {
        await mend(error)
        return []
      }
    },
  }
}

/** After which id to begin; undefined for now. */
function startOf(from: ObserveOptions['from']): string | undefined {
  if (from === 'now') return undefined
  if (from === 'start') return firstId
  if ('timeMs' in from) return idBefore(`${Math.max(0, Math.floor(from.timeMs))}-0`)
  if (!/^\d{1,20}(-\d{1,20})?$/.test(from.position)) {
    throw new EvtError('usage', `cannot start at ${from.position}: that is no position of a stream`, {
      hint: 'a position is <ms>-<n>, such as 1763726400000-0',
    })
  }
  return idBefore(from.position.includes('-') ? from.position : `${from.position}-0`)
}
