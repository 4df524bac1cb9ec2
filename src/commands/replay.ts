import { randomBytes } from 'node:crypto'
import { EvtError } from '../core/errors.ts'
import { redactUrl } from '../core/mask.ts'
import { typeText } from '../core/visible.ts'
import { defineCommand, flag, text, value, values } from './command.ts'
import { askConsent } from './line/consent.ts'
import { auditAs, operatorName } from './line/operator.ts'
import {
  consentOptions,
  dryRunOptions,
  formatOptions,
  limitOptions,
  rate,
  spanOptions,
  storeOptions,
} from './line/options.ts'
import { loadServices } from './line/services.ts'
import { withStore } from './line/store.ts'
import { whereOptions } from './line/where.ts'
import { chooseHandlers } from './replay/choose.ts'
import { type Destination, patternsOfTarget, withDestination } from './replay/destination.ts'
import { lookUp, patternsOf } from './replay/look-up.ts'
import { runReplay } from './replay/run.ts'
import { assertShadow, shadow } from './replay/shadow.ts'
import type { Runtime } from './runtime.ts'

export default defineCommand({
  name: 'replay',
  section: 'repair',
  summary: 'give history to handlers again, or to a sink or a broker',
  description: [
    'To --handler or --group of the configured services, which this command runs itself, by names of their own: their inbox does not',
    'know what was handled before, what fails is tried again and becomes a dead letter, and no other handler sees anything. To',
    '--target: published again with the ids that they have. Without either, --dry-run counts. The progress stands in the store:',
    'what was interrupted goes on with `evt replay resume`. Exit 1 when something is dead, 5 when a part of the history is gone.',
  ].join('\n'),
  examples: [
    { line: "evt replay --type 'user.*' --since 2h --dry-run", says: 'how many there are' },
    {
      line: 'evt replay --handler icons.user-directory --since start --yes --max-affected 100k',
      says: 'all that it wants, once more',
    },
    {
      line: 'evt replay --shadow --handler icons.usage --since 1h --yes',
      says: 'what it would write now, table by table',
    },
    {
      line: 'evt replay -t noop:// --where \'type == "user.created"\' --limit 10 --yes',
      says: 'ten, to a target that takes all',
    },
  ],
  args: {},
  options: {
    type: values({ value: 'pattern', says: "only types like 'user.*'; may be repeated", parse: text }),
    subject: value({ value: 'subject', says: 'only of this subject', parse: text }),
    correlation: value({ value: 'id', says: 'only of this correlation id', parse: text }),
    ...whereOptions,
    ...spanOptions,
    ...limitOptions,
    handler: values({ value: 'name', says: 'to this handler; may be repeated', parse: text }),
    group: value({ value: 'name', says: 'to all handlers of this group (their service)', parse: text }),
    target: value({
      short: 't',
      value: 'sink|url',
      says: 'to a configured sink, or a broker and its topic',
      parse: text,
    }),
    shadow: flag({ says: 'run handlers for real, take it back, and show what they would have written' }),
    against: value({
      value: 'git ref',
      says: 'with --shadow: compare with the handlers of another commit',
      parse: text,
    }),
    reveal: flag({ says: 'with --shadow: sensitive values as handlers wrote them; noted in the audit log' }),
    rate: value({ value: 'per-second', says: 'not faster than this', parse: rate }),
    ...dryRunOptions,
    ...consentOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ options, typed }, runtime) {
    const kind = kindOf(options)
    const handlers = kind === 'handlers' ? chooseHandlers(await loadServices(runtime), options) : []
    assertShadow({ ...options, handlers: handlers.length })
    return withTargetOpen(runtime, options.target, (destination) =>
      withStore(runtime, { command: 'replay', max: 6 }, async (store) => {
        const target = destination?.name
        const { compileSelection } = await import('../replay/history.ts')
        const patterns = target === undefined ? patternsOf(handlers) : await patternsOfTarget(target, runtime)
        const found = await lookUp(store, runtime, { ...options, patterns })
        const { selection, scanned, after } = found
        const { matched, gone } = scanned
        const { shadow: isShadow, against } = options
        const to = target === undefined ? handlers.map(({ name }) => name).join(', ') : redactUrl(target)
        const go = await askConsent(runtime, {
          verb: isShadow ? 'shadow' : 'replay',
          count: matched,
          noun: `${matched === 1 ? 'event' : 'events'}${to ? ` to ${to}` : ''}`,
          target: store.url,
          samples: scanned.samples.map(
            ({ position, type, subject }) => `${position}  ${typeText(type)}${subject ? ` ${subject}` : ''}`,
          ),
          consequence: isShadow
            ? 'what handlers do outside of their transaction happens; writers of their tables wait for moments'
            : 'what handlers and readers of the target do outside of the store happens again',
          options,
          typed,
        })
        if (!go) return gone ? 'partial' : undefined
        if (isShadow)
          return shadow(store, runtime, {
            ...options,
            handlers,
            found,
            asked: { ...options, patterns: undefined },
            against,
          })
        const id = randomBytes(3).toString('hex')
        const { createReplay, findReplay } = await import('../store/replays.ts')
        await createReplay(
          store,
          {
            id,
            kind: kind === 'target' ? 'target' : 'handlers',
            handlers: handlers.map(({ name }) => name),
            target: target === undefined ? undefined : redactUrl(target),
            selection,
            after,
            upto: scanned.upto,
            matched,
            by: operatorName(),
            reason: options.reason,
          },
          await auditAs('replay', { target: to, reason: options.reason, details: { selection } }),
        )
        const replay = await findReplay(store, id)
        if (!replay) throw new EvtError('internal', `cannot run replay ${id}: it is gone`)
        const wants = compileSelection(selection, patterns)
        runtime.output.detail(`replay ${id}: evt replay pause ${id} from another terminal`)
        return runReplay(store, runtime, { replay: { ...replay, target }, wants, handlers, destination, gone })
      }),
    )
  },
})

/** A target answers before anything is counted, asked or written down. */
const withTargetOpen = <T>(runtime: Runtime, target: string | undefined, work: (to?: Destination) => Promise<T>) =>
  target === undefined ? work() : withDestination(runtime, target, work)

interface Addressed {
  readonly handler: readonly string[]
  readonly group?: string | undefined
  readonly target?: string | undefined
  readonly dryRun: boolean
}

function kindOf({ handler, group, target, dryRun }: Addressed): 'handlers' | 'target' | 'nowhere' {
  const toHandlers = handler.length > 0 || group !== undefined
  if (toHandlers && target !== undefined)
    throw new EvtError('usage', 'cannot replay to handlers and a target at once', { hint: 'run it twice' })
  if (toHandlers) return 'handlers'
  if (target !== undefined) return 'target'
  if (dryRun) return 'nowhere'
  throw new EvtError('usage', 'cannot replay: it is not said where to', {
    hint: 'add --handler NAME, --group NAME or --target SINK, or --dry-run to count',
  })
}
