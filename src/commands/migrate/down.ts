import { EvtError } from '../../core/errors.ts'
import type { Store } from '../../store/connection.ts'
import { defineCommand, value } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, count, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

const { yes, reason } = consentOptions

export default defineCommand({
  name: 'migrate down',
  section: 'set up',
  summary: 'undo the last migrations, with all that their tables hold',
  examples: [
    { line: 'evt migrate down --dry-run', says: 'which migration would be undone' },
    { line: 'evt migrate down --steps 2 --yes', says: 'undo two' },
  ],
  args: {},
  options: {
    steps: value({ value: 'count', says: 'migrations to undo', parse: count, default: 1 }),
    ...dryRunOptions,
    yes,
    reason,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ options, typed }, runtime) {
    const { migrateDown, migrationStatus } = await import('../../store/migrate.ts')
    return withStore(runtime, { command: 'migrate down', max: 2, schema: 'any' }, async (store) => {
      const { applied } = await migrationStatus(store)
      const doomed = applied.slice(Math.max(0, applied.length - options.steps))
      const names = doomed.map(({ version, name }) => `${version} ${name}`).reverse()
      if (!options.dryRun && doomed.length > 0) await refuseUnderBridges(store)
      const go = await askConsent(runtime, {
        verb: 'undo',
        target: store.url,
        count: doomed.length,
        noun: doomed.length === 1 ? 'migration' : 'migrations',
        samples: names,
        consequence: 'their tables and everything in them are dropped',
        options,
        typed,
      })
      if (!go) return undefined
      const audit = await auditAs('migrate down', { target: 'evt', reason: options.reason })
      const undone = await migrateDown(store, options.steps, audit)
      runtime.output.result({
        data: { undone },
        meta: { store: store.url },
        render: () =>
          undone.length === 0 ? `${store.url}: nothing to undo` : `${store.url}: undone ${names.join(', ')}`,
      })
      return undefined
    })
  },
})

/** A bridge whose tables go loses what it holds and cannot stop in order. */
async function refuseUnderBridges(store: Store): Promise<void> {
  const { rows } = await store.query(`select to_regclass('evt.instances') is not null as known`)
  if (!rows[0]?.known) return
  const alive = await store.query(
    `select instance from evt.instances where stopped_at is null and beat_at > clock_timestamp() - interval '5 s'`,
  )
  const names = alive.rows.map((row) => String(row.instance))
  if (names.length === 0) return
  throw new EvtError('refused', `cannot undo migrations of ${store.url}: ${names.join(', ')} runs on it`, {
    hint: 'stop the bridges first; `evt status` lists them',
  })
}
