import { EvtError } from '../../core/errors.ts'
import type { Instant } from '../../core/instant.ts'
import type { Store } from '../../store/connection.ts'
import { argument, defineCommand, value } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, instant, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'groups seek',
  section: 'repair',
  summary: 'let a stopped group go on from another place in the log',
  description: [
    'Forwards, events are skipped. Backwards, they come again, and what the inbox knows as handled is passed over: to handle',
    'something anew, replay it. A sink cannot be moved: its readers drop what is not after the last that they saw.',
  ].join('\n'),
  examples: [
    {
      line: 'evt groups seek icons --to now --dry-run',
      says: 'what would be skipped',
      exit: 2,
    },
    {
      line: 'evt groups seek icons --to position:120 --yes',
      says: 'position 120 is the next',
      exit: 2,
    },
  ],
  args: { name: argument({ says: 'a group, from `evt groups list`' }) },
  options: {
    to: value({
      value: 'when',
      says: 'goes on from there, inclusive: position:123, 15m ago, RFC 3339, start or now',
      parse: instant,
    }),
    ...dryRunOptions,
    ...consentOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args, options, typed }, runtime) {
    const { to } = options
    if (to === undefined)
      throw new EvtError('usage', `cannot move group ${args.name}: it is not said where to`, {
        hint: 'add --to position:N or --to 15m',
      })
    return withStore(runtime, { command: 'groups seek', max: 2 }, async (store) => {
      const { findReader, seekGroup } = await import('../../store/decommission.ts')
      const { kind, name, position, members } = await findReader(store, args.name)
      if (kind !== 'group')
        throw new EvtError('usage', `cannot move ${kind} ${name}: only groups that read the log have a place in it`, {
          hint: kind === 'sink' ? 'remove it, and give it another name and `start`' : 'the broker keeps its place',
        })
      if (members.length > 0)
        throw new EvtError('refused', `cannot move group ${name}: ${members.join(', ')} runs it`, {
          hint: 'stop those processes first',
        })
      const after = await placeOf(store, to)
      const from = BigInt(position ?? 0)
      const count = Number(after > from ? after - from : from - after)
      const go = await askConsent(runtime, {
        verb: after > from ? 'skip' : 'repeat',
        noun: `events of group ${name}`,
        count,
        target: store.url,
        facts: [`from after position ${from} to after position ${after}`],
        consequence:
          after > from ? 'what is skipped is never handled' : 'what its inbox knows as handled is passed over',
        options,
        typed,
      })
      if (!go) return undefined
      const audit = await auditAs('groups seek', {
        target: `group ${name}`,
        reason: options.reason,
        details: { from: String(from) },
      })
      await seekGroup(store, { name, after }, audit)
      runtime.output.result({
        data: { group: name, from: String(from), after: String(after) },
        meta: { store: store.url },
        render: () => `group ${name} goes on after position ${after}`,
      })
      return undefined
    })
  },
})

/** The position before the next one; within what the log has. */
async function placeOf(store: Store, to: Instant): Promise<bigint> {
  const { createLogReader } = await import('../../store/log.ts')
  const reader = createLogReader(store)
  try {
    const [start, head] = [await reader.start(), await reader.head()]
    if (to === 'start') return start
    if (to === 'now') return head
    if ('timeMs' in to) return await reader.positionAt(to.timeMs)
    if (!/^\d{1,18}$/.test(to.position))
      throw new EvtError('usage', `cannot move to position:${to.position}: it is no number`)
    const after = BigInt(to.position) - 1n
    if (after >= start && after <= head) return after
    throw new EvtError('usage', `cannot move to position:${to.position}: the log has ${start + 1n} to ${head}`)
  } finally {
    await reader.close()
  }
}
