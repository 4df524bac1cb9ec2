import { EvtError } from '../../core/errors.ts'
import type { Maintenance } from '../../store/partitions.ts'
import type { DueReport } from '../../store/retention-report.ts'
import { defineCommand, text, value } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { retentionOf } from '../line/retention.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'retention run',
  section: 'repair',
  summary: 'archive and drop what is past its age and nobody needs; exit 4 or 5 when something has to stay',
  description: [
    'A bridge does the same by itself, once a minute. With an archive (`retention.archive`, --archive) each partition is written',
    'there before it goes, and nothing goes when that fails. What a group, a handler, a sink or a saga still needs stays.',
  ].join('\n'),
  examples: [
    { line: 'evt retention run --dry-run', says: 'what would go' },
    { line: 'evt retention run --yes --archive /tmp/evt-archive', says: 'archive and drop it' },
  ],
  args: {},
  options: {
    archive: value({
      value: 'directory',
      says: 'write each partition there before it is dropped',
      parse: text,
      shownDefault: 'retention.archive',
    }),
    ...dryRunOptions,
    ...consentOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ options, typed }, runtime) {
    return withStore(runtime, { command: 'retention run', max: 3 }, async (store) => {
      const { readRetention } = await import('../../store/retention-report.ts')
      const policy = retentionOf(runtime)
      const archive = options.archive ?? policy.archive
      const { due } = await readRetention(store, policy.days)
      const stays = due.filter((one) => one.stays !== null)
      const going = due.filter((one) => one.stays === null)
      for (const { table, stays: why, needs } of stays) runtime.output.warn(`${table} stays: ${why}`, remedyOf(needs))
      if (going.length === 0 && stays.length > 0 && !options.dryRun) throw allNeeded(stays, store.url)
      const go = await askConsent(runtime, {
        verb: 'drop',
        noun: going.length === 1 ? 'partition' : 'partitions',
        count: going.length,
        target: store.url,
        samples: going.map(({ table }) => table),
        consequence: archive
          ? `each is archived to ${archive} before`
          : 'their events are gone for good: no archive is configured',
        options,
        typed,
      })
      if (!go) return undefined
      const { applyRetention } = await import('../../store/apply-retention.ts')
      await applyRetention(store, policy)
      const { maintainPartitions } = await import('../../store/partitions.ts')
      const audit = await auditAs('retention run', { target: archive ?? 'evt', reason: options.reason })
      const done = await maintainPartitions(store, { archive, audit, lockTimeoutMs: 2_000 })
      const { dropped, archived, retained, problem } = done
      runtime.output.result({
        status: retained.length > 0 ? 'fail' : 'pass',
        data: { dropped, archived, retained },
        meta: { store: store.url },
        render: () => sentenceOf(done, new Set(stays.map(({ table }) => table))),
      })
      if (problem) runtime.output.warn(problem.message, problem.hint)
      return retained.length > 0 ? 'partial' : undefined
    })
  },
})

/** By how `evt.needs` begins its names. */
const remedies: readonly (readonly [kind: string, remedy: string])[] = [
  [
    'handler ',
    'see what its subjects wait for: `evt parked list`; `evt parked retry` or `evt parked skip` lets one go on',
  ],
  ['saga ', 'see what its sagas wait for: `evt saga list`, `evt parked list`'],
  ['replay ', 'see `evt replay list`; `evt replay stop` gives one up'],
]
const otherRemedy = 'see `evt groups list`; `evt groups remove NAME` takes away one that is not coming back'

function remedyOf(needs: readonly string[]): string {
  const found = needs.map((who) => remedies.find(([kind]) => who.startsWith(kind))?.[1] ?? otherRemedy)
  return [...new Set(found)].join('; ')
}

function allNeeded(stays: readonly DueReport[], url: string): EvtError {
  return new EvtError(
    'refused',
    `cannot drop ${stays.length === 1 ? 'it' : `${stays.length} partitions`} on ${url}: all are needed`,
    { hint: remedyOf(stays.flatMap(({ needs }) => needs)) },
  )
}

/** `told`: which tables stay, and why, was said before. */
function sentenceOf({ dropped, archived, retained }: Maintenance, told: ReadonlySet<string>): string {
  const lines = [`dropped ${dropped.length}, archived ${archived.length}, kept ${retained.length}`]
  for (const { file, events } of archived) lines.push(`  ${file}: ${events} events`)
  for (const { table, reason } of retained.filter((one) => !told.has(one.table)))
    lines.push(`  ${table} stays: ${reason}`)
  if (archived.length > 0) lines.push(`bring one back with: evt retention restore ${archived[0]?.file}`)
  return `${lines.join('\n')}\n`
}
