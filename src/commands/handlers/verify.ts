import { EvtError, toError } from '../../core/errors.ts'
import { compilePatterns } from '../../core/pattern.ts'
import { formatCount } from '../../core/quantity.ts'
import { suggestion } from '../../core/suggest.ts'
import type { AnyHandlerDefinition } from '../../handle/handler.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import { createLog } from '../../output/log.ts'
import { createProgress } from '../../output/progress.ts'
import { renderTable } from '../../output/table.ts'
import type { ShadowedEvent } from '../../replay/shadow.ts'
import type { Store } from '../../store/connection.ts'
import { argumentList, defineCommand, value } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, count, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { loadRegistry, loadServices } from '../line/services.ts'
import { withStore } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'
import { type MadeEvent, makeEvents } from './made-events.ts'

export default defineCommand({
  name: 'handlers verify',
  section: 'watch',
  summary: 'give each handler a good and a corrupt event of each of its types, and take all of it back',
  description: [
    'The events are made of the contracts, as by `evt gen`. A handler is in order when it handles the good one and never sees the corrupt one:',
    'a required field is missing, or the checksum is of other bytes. Exit 1 when one is not. Handlers run for real, each event in a',
    'transaction that is rolled back; what they do outside of it happens, and is told. DECLINED: by an error that it names nonRetryable,',
    'such as for a thing that it does not know.',
  ].join('\n'),
  examples: [{ line: 'evt handlers verify --dry-run', says: 'which handlers, and with how many events' }],
  args: { names: argumentList({ optional: true, says: 'handlers; default all of the configured services' }) },
  options: {
    seed: value({ value: 'number', says: 'another one makes other events', parse: count, default: 1 }),
    ...dryRunOptions,
    ...consentOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args: { names }, options, typed }, runtime) {
    const all = (await loadServices(runtime)).flatMap(({ handlers }) => handlers)
    const handlers = choose(all, names)
    const registry = await loadRegistry(runtime)
    const events = await makeEvents(handlers, { registry, seed: options.seed, nowMs: runtime.now() })
    return withStore(runtime, { command: 'handlers verify', max: 3 }, async (store) => {
      const go = await askConsent(runtime, {
        ...{ verb: 'verify', count: handlers.length, target: store.url, options, typed },
        noun: `${handlers.length === 1 ? 'handler' : 'handlers'} with ${formatCount(events.length)} made-up events`,
        samples: handlers.map(({ name }) => name),
        consequence:
          'what handlers do outside of their transaction happens; who writes the same rows waits for moments',
      })
      if (!go) return undefined
      const audit = await auditAs('handlers verify', { target: names.join(' ') || 'all', reason: options.reason })
      await store.transaction((sql) => audit(sql, handlers.length))
      return report(runtime, store, await verify(store, runtime, { handlers, registry, events }))
    })
  },
})

function choose(all: readonly AnyHandlerDefinition[], names: readonly string[]): readonly AnyHandlerDefinition[] {
  const known = all.map(({ name }) => name)
  for (const name of names)
    if (!known.includes(name))
      throw new EvtError('usage', `cannot verify handler ${name}: no configured service has it`, {
        hint: suggestion(name, known) ?? `they have ${known.join(', ')}`,
      })
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name))
}

interface Given {
  readonly handlers: readonly AnyHandlerDefinition[]
  readonly registry: Awaited<ReturnType<typeof loadRegistry>>
  readonly events: readonly MadeEvent[]
}

interface Verified {
  readonly handler: string
  readonly type: string
  readonly event: MadeEvent['kind']
  readonly corruption: MadeEvent['corruption'] | null
  readonly isInOrder: boolean
  /**
   * `handled`; `declined`, by an error that it names `nonRetryable`, such as for a thing that it does not know; `failed`, by another one. A corrupt
   * event: `refused` before it saw it, or `let in`.
   */
  readonly did: 'handled' | 'declined' | 'failed' | 'refused' | 'let in' | 'not tried'
  readonly says: string | null
  readonly tables: readonly string[]
  readonly published: readonly string[]
  readonly outside: readonly string[]
}

async function verify(store: Store, runtime: Runtime, given: Given): Promise<readonly Verified[]> {
  const { shadowHandlers } = await import('../../replay/shadow.ts')
  const { terminal, now, signal, output } = runtime
  const byPosition = new Map(given.events.map((one) => [String(one.entry.position), one]))
  const verified: Verified[] = []
  // What became of the call: an error alone does not say who threw it.
  let call: Call | undefined
  const watched = given.handlers.map((one) => {
    const handle = one.handle as (events: unknown, context: unknown) => unknown
    const noted = async (events: unknown, context: unknown) => {
      call = { isDeclined: false }
      try {
        await handle.call(one, events, context)
      } catch (thrown) {
        call = { isDeclined: one.nonRetryable?.includes(toError(thrown).name) ?? false }
        throw thrown
      }
    }
    return { ...one, handle: noted } as AnyHandlerDefinition
  })
  const able = watched.filter(({ transaction }) => transaction !== 'none')
  const progress = createProgress({
    stderr: terminal.stderr,
    verb: 'verifying',
    total: triesOf(able, given.events),
    now,
  })
  async function* history() {
    yield given.events.map(({ entry }) => entry)
  }
  await shadowHandlers({
    ...{ store, registry: given.registry, signal, handlers: able, history: history(), detail: 'tables' },
    log: await createLog({ level: 'silent', stderr: terminal.stderr, paint: output.paintNotice, now }),
    onEvent(event) {
      const made = byPosition.get(event.position)
      if (made) verified.push(judge(event, made, call))
      call = undefined
      progress.update(verified.length)
    },
  }).finally(() => progress.end())
  return [...verified, ...watched.filter((one) => !able.includes(one)).map(({ name }) => notTried(name))]
}

const triesOf = (handlers: readonly AnyHandlerDefinition[], events: readonly MadeEvent[]) =>
  handlers.reduce((sum, { on }) => {
    const wanted = compilePatterns(on.map((one) => (typeof one === 'string' ? one : one.type)))
    return sum + events.filter(({ entry }) => wanted.matches(entry.type)).length
  }, 0)

interface Call {
  /** By an error that the handler itself names as one that no retry can mend. */
  readonly isDeclined: boolean
}

function judge(event: ShadowedEvent, { kind, corruption }: MadeEvent, call: Call | undefined): Verified {
  const { handler, type, error = null, outside } = event
  const didGood = error === null ? 'handled' : call?.isDeclined ? 'declined' : 'failed'
  const did = kind === 'good' ? didGood : call ? 'let in' : 'refused'
  return {
    ...{ handler, type, event: kind, corruption: corruption ?? null, did, says: error, outside },
    isInOrder: did !== 'failed' && did !== 'let in',
    tables: [...new Set([...event.rows, ...event.unseen].map(({ table }) => table))].sort(),
    published: event.published.map((one) => one.type),
  }
}

const notTried = (handler: string): Verified => ({
  ...{ handler, type: '*', event: 'good', corruption: null, isInOrder: true, did: 'not tried' },
  says: "it declares transaction 'none': nothing could be taken back",
  ...{ tables: [], published: [], outside: [] },
})

function report({ output }: Runtime, store: Store, verified: readonly Verified[]): Outcome | undefined {
  const wrong = verified.filter(({ isInOrder }) => !isInOrder)
  output.result({
    status: wrong.length === 0 ? 'pass' : 'fail',
    data: { verified, wrong: wrong.length },
    meta: { store: store.url },
    render: () => `${renderTable(verified, columns, output)}${summaryOf(verified, wrong.length)}\n`,
  })
  for (const { handler, outside } of verified)
    if (outside.length > 0) output.warn(`${handler} reached ${outside.join(', ')}, and that happened`)
  const lacks = wrong.find(({ says }) => says?.includes('does not exist'))
  if (lacks)
    output.warn(`tables of ${lacks.handler} are missing`, 'start its service once with `evt up`: that makes them')
  return wrong.length === 0 ? undefined : 'failed'
}

const summaryOf = (verified: readonly Verified[], wrong: number) =>
  `${formatCount(verified.length)} tries · ${wrong === 0 ? 'all in order' : `${formatCount(wrong)} not in order`}`

const columns = [
  { head: 'HANDLER', cell: ({ handler }: Verified) => handler },
  { head: 'TYPE', cell: ({ type }: Verified) => type },
  { head: 'EVENT', cell: ({ event, corruption }: Verified) => corruption ?? event },
  { head: 'DID', cell: ({ did }: Verified) => did },
  { head: 'WRITES', cell: ({ tables }: Verified) => tables.join(' ') || undefined, expendable: 2 },
  { head: 'PUBLISHES', cell: ({ published }: Verified) => published.join(' ') || undefined, expendable: 1 },
  { head: 'SAYS', cell: ({ says }: Verified) => says ?? undefined, grows: true as const },
]
