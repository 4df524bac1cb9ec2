import type { EvtEvent } from '../../core/event.ts'
import { compilePatterns } from '../../core/pattern.ts'
import { compileWhere, eventFields } from '../../core/where.ts'
import type { Expectation } from '../../generators/scenario/program.ts'
import { requireStore } from '../line/store.ts'
import { urlNamed } from '../line/target.ts'
import type { Runtime } from '../runtime.ts'
import { openSources } from '../tail/source.ts'
import type { Watcher } from './stage.ts'

/** The last events that are remembered: an answer may come before it is asked for. */
const mostRemembered = 10_000

interface Asked {
  isMet(event: EvtEvent): boolean
  meet(): void
}

/** Watches the store, or the target, from now on while `work` runs. */
export async function withWatcher<T>(
  runtime: Runtime,
  target: string | undefined,
  work: (watcher: Watcher) => Promise<T>,
): Promise<T> {
  const { output, now } = runtime
  const url = target === undefined ? (await requireStore(runtime)).url : await urlNamed(target, runtime)
  const onProblem = (error: Error) => output.warn(error.message)
  const [source] = await openSources([{ url }], { explain: false, now, onProblem })
  if (!source) throw new Error('a source that was opened is there')
  const end = new AbortController()
  const hub = createHub(now)
  try {
    const ready = Promise.withResolvers<void>()
    const span = {
      from: 'now' as const,
      follow: true,
      signal: AbortSignal.any([end.signal, runtime.signal]),
      onReady: ready.resolve,
      onLost: onProblem,
      onBack: () => output.notice(`${source.name}: connected again`),
    }
    const reading = (async () => {
      for await (const batch of source.read(span)) for (const { event } of batch) hub.see(event)
    })().catch((error: unknown) => {
      if (!end.signal.aborted) ready.reject(error)
    })
    await ready.promise
    const done = await work(hub)
    end.abort()
    await reading
    return done
  } finally {
    end.abort()
    await source.close()
  }
}

function createHub(now: () => number): Watcher & { see(event: EvtEvent): void } {
  const open = new Set<Asked>()
  const seen: EvtEvent[] = []
  return {
    see(event) {
      seen.push(event)
      if (seen.length > 2 * mostRemembered) seen.splice(0, seen.length - mostRemembered)
      for (const asked of open) if (asked.isMet(event)) asked.meet()
    },
    expect(expectation, own) {
      const { withinMs } = expectation
      const { ofType, test } = matcherOf(expectation, now())
      const { promise, resolve } = Promise.withResolvers<string | undefined>()
      let near = 0
      let timer: ReturnType<typeof setTimeout> | undefined
      const asked: Asked = {
        isMet(event) {
          if (own.has(event.id) || !ofType(event.type)) return false
          near += 1
          return test(event)
        },
        meet() {
          clearTimeout(timer)
          open.delete(asked)
          resolve(undefined)
        },
      }
      open.add(asked)
      if (seen.some((event) => asked.isMet(event))) asked.meet()
      return {
        met: promise,
        start() {
          if (timer !== undefined || !open.has(asked)) return
          timer = setTimeout(() => {
            open.delete(asked)
            resolve(near === 0 ? 'none came' : `${near} came, and none of them fitted`)
          }, withinMs)
        },
      }
    },
  }
}

function matcherOf({ pattern, where }: Expectation, nowMs: number) {
  const types = compilePatterns([pattern])
  const filter = where === undefined ? undefined : compileWhere(where, { nowMs, fields: eventFields })
  return {
    ofType: (type: string) => types.matches(type),
    test: (event: EvtEvent) => filter?.test(event) ?? true,
  }
}
