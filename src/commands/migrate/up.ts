import { defineCommand } from '../command.ts'
import { refuseWhenReadonly } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'migrate up',
  section: 'set up',
  summary: "bring the store's schema up to date",
  description: 'All of it in one transaction. Safe to run twice, and by several processes at once.',
  examples: [
    { line: 'evt migrate up', says: 'make or upgrade the schema `evt`', needs: 'empty-store' },
    { line: 'evt migrate up --dry-run', says: 'print the SQL for an administrator', needs: 'nothing' },
  ],
  args: {},
  options: { ...dryRunOptions, ...storeOptions, ...formatOptions },
  async run({ options }, runtime) {
    const { migrateUp, migrationSql } = await import('../../store/migrate.ts')
    if (options.dryRun) {
      const sql = await migrationSql()
      runtime.output.result({ data: { sql }, render: () => sql })
      return undefined
    }
    refuseWhenReadonly(runtime, 'migrate the store')
    return withStore(runtime, { command: 'migrate up', max: 1, changes: true, schema: 'any' }, async (store) => {
      const applied = await migrateUp(store, await auditAs('migrate up', { target: 'evt' }))
      runtime.output.result({
        data: { applied },
        meta: { store: store.url },
        render: () =>
          applied.length === 0
            ? `${store.url} is up to date`
            : `${store.url}: applied ${applied.map(({ version, name }) => `${version} ${name}`).join(', ')}`,
      })
      return undefined
    })
  },
})
